-- Which event told each fact, and what led to it: the timeline has them before they have come through Kafka. Facts that were
-- kept before have none; their events came through long ago.
alter table order_fact
    add column event_id uuid,
    add column causation_id uuid,
    add column correlation_id uuid;

create or replace function keep_order_facts() returns trigger language plpgsql as $$
begin
    with fact as (
        select event_id, topic, payload,
            (select case when convert_from(key, 'UTF8') ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                then convert_from(key, 'UTF8')::uuid end) as order_id,
            (select jsonb_object_agg(header->>0, header->>1) from jsonb_array_elements(headers) header) as headers
        from announced
        where topic in ('order.created', 'order.confirmed', 'order.cancelled') and work_id is null
            and key is not null and payload is not null
    )
    insert into order_fact (order_id, sequence, topic, data, at, event_id, causation_id, correlation_id)
    select order_id, (fact.headers->>'ce_sequence')::bigint, topic, convert_from(payload, 'UTF8')::jsonb,
        (fact.headers->>'ce_time')::timestamptz, event_id,
        (fact.headers->>'ce_causationid')::uuid, (fact.headers->>'ce_correlationid')::uuid
    from fact join orders on orders.id = fact.order_id
    on conflict do nothing;
    return null;
end $$;
