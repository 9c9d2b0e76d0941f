-- What operators see and do: dead letters with their history, bulk replays, and an audit of every action.
-- Every service's database has this same migration; a test in crates/messaging holds the copies equal.

-- How often an operator has sent the row round again; only such rows report their end.
alter table work add column replays integer not null default 0;

-- The memory of what died: it outlives the row in work, which is deleted once its replay has succeeded.
create table dead_letter (
    id uuid primary key,
    state text not null default 'open'
        check (state in ('open', 'replaying', 'replayed', 'discarded', 'superseded')),
    kind text not null,
    name text not null,
    key bytea,
    event_id uuid,
    headers jsonb not null,
    payload bytea,
    attempts integer not null,
    deaths integer not null default 1,
    origin_topic text,
    origin_partition integer,
    origin_offset bigint,
    origin_timestamp timestamptz,
    error_class text,
    error_message text,
    error_fingerprint text,
    first_failed_at timestamptz,
    last_failed_at timestamptz,
    -- the edited letter that took its place
    superseded_by uuid,
    -- the bulk replay that sent it round last
    job_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index dead_letter_open on dead_letter (error_fingerprint, id) where state = 'open';
create index dead_letter_job_of on dead_letter (job_id) where job_id is not null;
create index dead_letter_settled on dead_letter (updated_at) where state not in ('open', 'replaying');

create function remember_dead_letter() returns trigger language plpgsql as $$
begin
    insert into dead_letter (id, kind, name, key, event_id, headers, payload, attempts, origin_topic,
        origin_partition, origin_offset, origin_timestamp, error_class, error_message, error_fingerprint,
        first_failed_at, last_failed_at)
    values (new.id, new.kind, new.name, new.key, new.event_id, new.headers, new.payload, new.attempts,
        new.origin_topic, new.origin_partition, new.origin_offset, new.origin_timestamp, new.error_class,
        new.error_message, new.error_fingerprint, new.first_failed_at, new.last_failed_at)
    on conflict (id) do update set state = 'open', headers = excluded.headers, attempts = excluded.attempts,
        deaths = dead_letter.deaths + 1, error_class = excluded.error_class,
        error_message = excluded.error_message, error_fingerprint = excluded.error_fingerprint,
        last_failed_at = excluded.last_failed_at, updated_at = now();
    return null;
end $$;

create function settle_dead_letter() returns trigger language plpgsql as $$
begin
    update dead_letter set state = 'replayed', updated_at = now() where id = old.id and state = 'replaying';
    return null;
end $$;

create trigger work_born_dead after insert on work
    for each row when (new.state = 'dead') execute function remember_dead_letter();
create trigger work_died after update on work
    for each row when (new.state = 'dead' and old.state <> 'dead') execute function remember_dead_letter();
create trigger work_replayed after delete on work
    for each row when (old.replays > 0) execute function settle_dead_letter();

insert into dead_letter (id, kind, name, key, event_id, headers, payload, attempts, origin_topic,
    origin_partition, origin_offset, origin_timestamp, error_class, error_message, error_fingerprint,
    first_failed_at, last_failed_at)
select id, kind, name, key, event_id, headers, payload, attempts, origin_topic, origin_partition, origin_offset,
    origin_timestamp, error_class, error_message, error_fingerprint, first_failed_at, last_failed_at
from work where state = 'dead';

-- A replay of many letters. Each step is a transaction of its own, so whichever replica is alive goes on.
create table dead_letter_job (
    id uuid primary key,
    state text not null default 'running' check (state in ('running', 'finished', 'stopped', 'halted')),
    fingerprint text,
    key bytea,
    name text,
    actor uuid not null,
    reason text not null,
    rate_per_second integer not null check (rate_per_second > 0),
    matched bigint not null,
    replayed bigint not null default 0,
    failed_again bigint not null default 0,
    next_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    finished_at timestamptz
);
-- pressed twice, it is one
create unique index dead_letter_job_running on dead_letter_job (fingerprint, key, name) nulls not distinct
    where state = 'running';
create index dead_letter_job_due on dead_letter_job (next_at) where state = 'running';

-- Who did what, when and why. Append-only.
create table operation_audit (
    id bigint generated always as identity primary key,
    actor uuid not null,
    action text not null,
    subject uuid not null,
    reason text not null,
    before jsonb,
    after jsonb,
    at timestamptz not null default now()
);
create index operation_audit_of on operation_audit (subject, id);

create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit is append-only';
end $$;
create trigger operation_audit_is_append_only before update or delete or truncate on operation_audit
    for each statement execute function refuse_audit_change();
