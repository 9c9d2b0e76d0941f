-- One notification a fact.
create table notification (
    -- the event's id: the same fact cannot be told twice, and the order of ids is that of the facts
    id uuid primary key,
    user_id uuid not null,
    -- the order it is about; null for what is about the account
    order_id uuid,
    kind text not null check (kind in (
        'welcome', 'order_created', 'payment_completed', 'order_confirmed', 'payment_failed', 'order_cancelled',
        'payment_refunded')),
    channel text not null check (channel in ('in_app')),
    title text not null,
    body text not null,
    created_at timestamptz not null,
    -- when its user first read it
    read_at timestamptz
);

create index notification_of_user on notification (user_id, id desc);
create index notification_of_order on notification (order_id) where order_id is not null;
