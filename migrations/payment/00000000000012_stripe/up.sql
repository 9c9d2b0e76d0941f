-- What this service knows of its charges at Stripe. Written in transactions of their own, never in those of the payments:
-- the id of an intent is kept before the intent is confirmed, so that whatever becomes of it can be looked up.
create schema stripe;

create table stripe.charge (
    -- the order's id
    idempotency_key text primary key,
    -- none while it is not known that there is an intent
    intent_id text unique,
    -- what the intent is to take, in the unit that Stripe counts in
    amount bigint,
    -- voided before there was an intent: none is to be confirmed any more
    voided boolean not null default false,
    -- part of the keys that Stripe gets: grows when Stripe would repeat a failed answer under the old key
    round integer not null default 0,
    created_at timestamptz not null default now(),
    check (not voided or intent_id is null),
    check ((intent_id is null) = (amount is null))
) with (fillfactor = 80);

-- Webhook events that were received, each with what came of it; forgotten after provider.stripe.webhook_retention_days.
create table stripe.event (
    event_id text primary key,
    kind text not null,
    order_id uuid,
    outcome text not null check (outcome in ('applied', 'unchanged', 'ignored', 'refused')),
    detail text,
    received_at timestamptz not null default now()
);
create index event_received on stripe.event (received_at);
