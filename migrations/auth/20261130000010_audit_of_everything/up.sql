-- What operators do to other things than dead letters is in the audit as well: to a user, a product, a setting, a webhook.
-- Every service's database has this same migration; a test in crates/messaging holds the copies equal.

-- where it is in the interface, for example /products/KEYBOARD-TKL; none where the subject is a dead letter or a job
alter table operation_audit add column resource text;
alter table operation_audit alter column subject drop not null;
-- only what is done to dead letters asks for a reason
alter table operation_audit alter column reason drop not null;

-- What an operator's request with an Idempotency-Key was answered with; written in the transaction of what was done.
create table operation_key (
    actor uuid not null,
    key text not null,
    request_hash bytea not null,
    -- none while the request is in hand
    response jsonb,
    created_at timestamptz not null default now(),
    primary key (actor, key)
);
create index operation_key_age on operation_key (created_at);
