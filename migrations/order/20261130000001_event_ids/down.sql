create or replace function keep_order_facts() returns trigger language plpgsql as $$
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
alter table order_fact
    drop column event_id,
    drop column causation_id,
    drop column correlation_id;
