-- The messaging kernel's tables. Every service's database has this same migration; a test in
-- crates/messaging holds the copies equal.

-- Facts and dead letters that wait for their way to Kafka. A row is written in the transaction of the state
-- change that it announces, and deleted once Kafka has acknowledged it.
create table outbox (
    id bigint generated always as identity primary key,
    event_id uuid not null,
    topic text not null,
    key bytea,
    headers jsonb not null,
    payload bytea,
    created_at timestamptz not null default now()
) with (
    -- the table is a queue: small, but every row dies soon, so it is vacuumed by count, not by share
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0
);

-- Which events this service has taken charge of. The ids are version 7 UUIDs, so that a range of ids is a
-- range of time: a partition a day, made ahead and dropped behind by the retention job.
create table processed_event (
    event_id uuid primary key
) partition by range (event_id);

-- Work that is still owed: parked messages and actions to perform (pending), and what was given up (dead).
create table work (
    id uuid primary key,
    seq bigint generated always as identity,
    kind text not null check (kind in ('message', 'action', 'publication')),
    -- the topic of a message or publication, the name of an action
    name text not null,
    -- the Kafka key; messages of one key are taken in the order of seq
    key bytea,
    event_id uuid,
    headers jsonb not null,
    payload bytea,
    state text not null default 'pending' check (state in ('pending', 'dead')),
    -- failed attempts so far
    attempts integer not null default 0,
    -- also the end of the lease of whoever has claimed the row
    next_attempt_at timestamptz not null default now(),
    claim uuid,
    origin_topic text,
    origin_partition integer,
    origin_offset bigint,
    origin_timestamp timestamptz,
    error_class text,
    error_message text,
    error_fingerprint text,
    first_failed_at timestamptz,
    last_failed_at timestamptz,
    created_at timestamptz not null default now()
) with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);

create index work_due on work (next_attempt_at) where state = 'pending';
create index work_behind on work (key, seq) where state = 'pending' and kind = 'message';
create index work_dead on work (last_failed_at desc) where state = 'dead';
-- A message whose id cannot be told is known by its place. The time is part of it: a topic that was made
-- anew counts its offsets from 0 again.
create unique index work_origin on work (origin_topic, origin_partition, origin_offset, origin_timestamp)
    nulls not distinct where kind = 'message' and event_id is null;
