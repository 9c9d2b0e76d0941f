-- What a request with an Idempotency-Key made, and was answered with.
create table idempotency_key (
    user_id uuid not null,
    key text not null,
    -- SHA-256 of the request
    request_hash bytea not null,
    -- the answer, without the webhook's secret …
    response jsonb not null,
    -- … which is told again to whoever repeats the request, and lies here no more openly than in webhook
    secret bytea not null,
    -- a webhook that is gone takes its key along
    webhook_id uuid not null references webhook on delete cascade,
    created_at timestamptz not null default now(),
    primary key (user_id, key)
);
create index idempotency_key_age on idempotency_key (created_at);
create index idempotency_key_of_webhook on idempotency_key (webhook_id);
