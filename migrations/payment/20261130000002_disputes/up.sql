-- Disputes: somebody has asked their bank for the money of a payment back. Written in the transaction that counts and
-- announces it on the payment's own row, so it needs no foreign key, which would lock payment while it is made.
create table dispute (
    id uuid primary key,
    payment_id uuid not null,
    order_id uuid not null,
    provider text not null,
    -- the provider's own id of it
    provider_reference text not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    reason text not null,
    status text not null check (status in ('warning_needs_response', 'warning_under_review', 'warning_closed',
        'needs_response', 'under_review', 'won', 'lost', 'prevented')),
    -- until when it can be answered
    respond_by timestamptz,
    -- when the provider opened and closed it
    opened_at timestamptz not null,
    closed_at timestamptz,
    -- when the provider took the money out of the account, and when it put it back
    withdrawn_at timestamptz,
    reinstated_at timestamptz,
    -- when the provider said what is known here: what it said before that changes nothing
    reported_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (provider, provider_reference),
    check ((closed_at is not null) = (status in ('warning_closed', 'won', 'lost', 'prevented')))
);

create index dispute_of_order on dispute (order_id);
create index dispute_open on dispute (id) where closed_at is null;
