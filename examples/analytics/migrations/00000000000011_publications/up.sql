-- A refused publication that is replayed stays in work until Kafka has acknowledged it, and its outbox row says which
-- one it is: refused again, it is the same dead letter again. Every service's database has this same migration; a test
-- in crates/messaging holds the copies equal.
alter table outbox add column work_id uuid;

-- What a bulk replay has under way, and what has come back to it: looked at before each step.
create index dead_letter_under_way on dead_letter (job_id) where state in ('open', 'replaying');
