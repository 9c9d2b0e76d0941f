-- What every topic has said, so that a saga can be told from its first event to its last. Rows are written once
-- and never change.
create table timeline_entry (
    event_id uuid primary key,
    -- the order it is about; null for facts about accounts
    order_id uuid,
    -- whose order, where the event says so
    customer_id uuid,
    -- the topic: order.created, payment.failed.dlq
    type text not null,
    source text not null,
    occurred_at timestamptz not null,
    causation_id uuid not null,
    correlation_id uuid not null,
    -- number among the events of the announcing aggregate
    sequence bigint not null,
    data jsonb not null,
    recorded_at timestamptz not null default now()
);

create index timeline_entry_order on timeline_entry (order_id) where order_id is not null;
