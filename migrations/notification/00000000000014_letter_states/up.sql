-- In a migration of its own: the check reads the whole table, with a lock that nobody waits for. Every service's database
-- has this same migration; a test in crates/messaging holds the copies equal.
alter table dead_letter validate constraint dead_letter_state_check;
