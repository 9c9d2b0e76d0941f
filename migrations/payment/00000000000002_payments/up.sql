-- One payment an order. The key is the order's id: it is what events speak of, and one order is paid once.
create table payment (
    order_id uuid primary key,
    id uuid not null unique,
    customer_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    payment_method text not null,
    status text not null
        check (status in ('processing', 'completed', 'failed', 'voided', 'refunding', 'refunded')),
    -- the order was cancelled while the provider had not answered yet
    cancel_wanted boolean not null default false,
    provider text not null,
    provider_reference text,
    refund_reference text,
    failure_code text,
    -- times the provider was asked to charge, once it has answered
    attempts integer not null default 0,
    -- the number of the last event announced
    announced bigint not null,
    -- the number of times this row has been saved
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check (status <> 'failed' or failure_code is not null),
    check (status not in ('completed', 'refunding', 'refunded') or provider_reference is not null),
    check ((status = 'refunded') = (refund_reference is not null))
) with (fillfactor = 80);

create index payment_of_customer on payment (customer_id, id desc);

-- The simulated provider's own books. They stand for a system outside: written in transactions of their own, never
-- in those of the payments above.
create schema simulator;

create table simulator.setting (
    -- the table has one row
    singleton boolean primary key default true check (singleton),
    mode text not null check (mode in ('approve', 'decline', 'error', 'timeout')),
    -- payments to force; null: until changed; 0: none
    remaining integer check (remaining >= 0),
    latency_ms integer not null check (latency_ms between 0 and 60000),
    -- grows with each change
    generation bigint not null
);
insert into simulator.setting (mode, remaining, latency_ms, generation) values ('approve', 0, 0, 1);

create table simulator.charge (
    idempotency_key text primary key,
    amount_minor bigint not null,
    currency text not null,
    payment_method text not null,
    status text not null check (status in ('open', 'approved', 'declined', 'voided')),
    reference text,
    failure_code text,
    refund_reference text,
    attempts integer not null,
    -- the forced mode that this charge used up, and the setting it came from
    forced_mode text,
    forced_generation bigint,
    created_at timestamptz not null default now()
);
