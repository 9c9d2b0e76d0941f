create table product (
    sku text primary key,
    name text not null,
    unit_price_minor bigint not null check (unit_price_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    active boolean not null default true,
    updated_at timestamptz not null default now()
);

-- An order with its lines: lines are never looked for on their own, and are written once.
create table orders (
    id uuid primary key,
    customer_id uuid not null,
    status text not null check (status in ('pending', 'confirmed', 'cancelled')),
    items jsonb not null,
    total_minor bigint not null check (total_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    payment_method text not null,
    payment_id uuid,
    cancellation_reason text
        check (cancellation_reason in ('payment_failed', 'customer_request', 'payment_timeout')),
    cancellation_code text,
    refunded boolean not null default false,
    -- the number of the last event announced
    announced bigint not null,
    -- the number of times this row has been saved
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((status = 'cancelled') = (cancellation_reason is not null)),
    check (status <> 'confirmed' or payment_id is not null)
) with (fillfactor = 80);

-- ids are version 7 UUIDs: their order is the order of placing
create index orders_of_customer on orders (customer_id, id desc);
create index orders_pending on orders (id) where status = 'pending';

-- What a client's Idempotency-Key was answered with; written in the transaction of the order.
create table idempotency_key (
    customer_id uuid not null,
    key text not null,
    request_hash bytea not null,
    response jsonb not null,
    created_at timestamptz not null default now(),
    primary key (customer_id, key)
);
create index idempotency_key_age on idempotency_key (created_at);

insert into product (sku, name, unit_price_minor, currency) values
    ('KEYBOARD-TKL', 'Tenkeyless mechanical keyboard', 12900, 'EUR'),
    ('MOUSE-ERGO', 'Ergonomic mouse', 5900, 'EUR'),
    ('MONITOR-27', '27 inch monitor', 32900, 'EUR'),
    ('MONITOR-ARM', 'Monitor arm', 8900, 'EUR'),
    ('WEBCAM-HD', 'HD webcam', 7900, 'EUR'),
    ('HEADSET-NC', 'Noise-cancelling headset', 19900, 'EUR'),
    ('DOCK-USBC', 'USB-C docking station', 17900, 'EUR'),
    ('CABLE-USBC', 'USB-C cable, 2 m', 1999, 'EUR'),
    ('DESK-OAK', 'Oak standing desk', 64900, 'EUR'),
    ('CHAIR-MESH', 'Mesh office chair', 38900, 'EUR'),
    ('LAMP-LED', 'LED desk lamp', 4900, 'EUR'),
    ('NOTEBOOK-A5', 'Notebook, A5, dotted', 1299, 'EUR');
