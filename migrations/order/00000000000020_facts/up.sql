-- What the service has announced of each order, for those who follow an order's life: kept as long as the order itself,
-- whatever becomes of the topics.
create table order_fact (
    order_id uuid not null references orders (id) on delete cascade,
    -- the order's own count, from 1 and without a gap
    sequence bigint not null,
    topic text not null,
    data jsonb not null,
    at timestamptz not null,
    primary key (order_id, sequence)
);

-- Written from what is written into the outbox, in its transaction: nothing is announced that is not kept, and the other
-- way round. An operator's replay announces nothing new.
create function keep_order_facts() returns trigger language plpgsql as $$
begin
    with fact as (
        select topic, payload,
            (select case when convert_from(key, 'UTF8') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                then convert_from(key, 'UTF8')::uuid end) as order_id,
            (select header->>1 from jsonb_array_elements(headers) header where header->>0 = 'ce_sequence') as sequence,
            (select header->>1 from jsonb_array_elements(headers) header where header->>0 = 'ce_time') as at
        from announced
        where topic in ('order.created', 'order.confirmed', 'order.cancelled') and work_id is null
            and key is not null and payload is not null
    )
    insert into order_fact (order_id, sequence, topic, data, at)
    select order_id, sequence::bigint, topic, convert_from(payload, 'UTF8')::jsonb, at::timestamptz
    from fact join orders on orders.id = fact.order_id
    on conflict do nothing;
    return null;
end $$;
create trigger outbox_keeps_order_facts after insert on outbox referencing new table as announced
    for each statement execute function keep_order_facts();

-- What was announced before. That an order which is cancelled by now had been confirmed is not told: its row no longer
-- knows by which payment.
insert into order_fact (order_id, sequence, topic, data, at)
select id, 1, 'order.created',
    jsonb_build_object('order_id', id, 'customer_id', customer_id,
        'items', (select jsonb_agg(jsonb_build_object('sku', line->'sku', 'name', line->'name',
            'quantity', line->'quantity', 'unit_price', jsonb_build_object(
                'amount_minor', line->'unit_price_minor', 'currency', currency)) order by place)
            from jsonb_array_elements(items) with ordinality as lines (line, place)),
        'total', jsonb_build_object('amount_minor', total_minor, 'currency', currency),
        'payment_method', payment_method),
    created_at
from orders
union all
select id, announced, 'order.confirmed',
    jsonb_build_object('order_id', id, 'customer_id', customer_id, 'payment_id', payment_id,
        'total', jsonb_build_object('amount_minor', total_minor, 'currency', currency)),
    updated_at
from orders where status = 'confirmed'
union all
select id, announced, 'order.cancelled',
    jsonb_build_object('order_id', id, 'customer_id', customer_id,
        'total', jsonb_build_object('amount_minor', total_minor, 'currency', currency),
        'reason', cancellation_reason, 'code', cancellation_code),
    updated_at
from orders where status = 'cancelled';
