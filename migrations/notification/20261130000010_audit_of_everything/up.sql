-- What operators do to other things than dead letters is in the audit as well: to a user, a product, a setting, a webhook.
-- Every service's database has this same migration; a test in crates/messaging holds the copies equal.

-- Where it is in the interface, for example /products/KEYBOARD-TKL. Its subject is the nil UUID then, and its reason empty:
-- the release before reads both, and reads no null.
alter table operation_audit add column resource text;

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
