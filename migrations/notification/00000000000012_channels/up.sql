-- Ways to a user besides the list in the application: e-mail, webhooks, a live stream; and what each user wants.

alter table notification drop constraint notification_kind_check;
alter table notification add constraint notification_kind_check check (kind in (
    'welcome', 'order_created', 'payment_completed', 'order_confirmed', 'payment_failed', 'order_cancelled',
    'payment_refunded', 'webhook_disabled'));

-- The number of a notification among its user's, in the order of commits: where a stream goes on. Null for what a
-- replica of the version before this one told; it is in the list all the same.
alter table notification add column number bigint;
-- The user does not want this kind in the application; the row is still the memory that the fact was told.
alter table notification add column hidden boolean not null default false;

-- The last number given out. Its row is locked until the notifications with the numbers are committed: whoever sees
-- a number sees all before it.
create table inbox (
    user_id uuid primary key,
    last_number bigint not null
) with (fillfactor = 50);

with numbered as (
    select id, row_number() over (partition by user_id order by id) as number from notification)
update notification set number = numbered.number from numbered where numbered.id = notification.id;
insert into inbox (user_id, last_number) select user_id, max(number) from notification group by user_id;
create unique index notification_number on notification (user_id, number);

-- Where a user's e-mail goes.
create table recipient (
    user_id uuid primary key,
    email text not null
);

-- What a user has chosen; what is not here is wanted.
create table preference (
    user_id uuid not null,
    kind text not null,
    in_app boolean not null,
    email boolean not null,
    webhook boolean not null,
    primary key (user_id, kind)
);

create table webhook (
    id uuid primary key,
    user_id uuid not null,
    url text not null,
    -- null: every kind
    kinds text[],
    description text,
    secret bytea not null,
    -- signs besides until that time, so that a receiver can change over
    previous_secret bytea,
    previous_secret_until timestamptz,
    enabled boolean not null default true,
    -- why it is not enabled: its user, continued failure, or its own answer
    disabled_reason text check (disabled_reason in ('user', 'failing', 'gone')),
    -- deliveries that were given up, with no success in between
    failures integer not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index webhook_of_user on webhook (user_id, id);

-- One way of one notification to its user.
create table delivery (
    id uuid primary key,
    user_id uuid not null,
    -- null for a test
    notification_id uuid references notification (id) on delete cascade,
    channel text not null check (channel in ('email', 'webhook')),
    webhook_id uuid references webhook (id) on delete cascade,
    status text not null check (status in ('sending', 'waiting', 'delivered', 'failed', 'dropped')),
    attempts integer not null default 0,
    -- attempts since it was last asked for
    tries integer not null default 0,
    -- when it is tried again
    next_attempt_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null,
    check ((channel = 'webhook') = (webhook_id is not null)),
    check ((status = 'waiting') = (next_attempt_at is not null))
);
-- one intent a fact and way
create unique index delivery_once on delivery (notification_id, channel, webhook_id) nulls not distinct
    where notification_id is not null;
create index delivery_of_webhook on delivery (webhook_id, id) where webhook_id is not null;
create index delivery_due on delivery (next_attempt_at) where status = 'waiting';
create index delivery_settled on delivery (updated_at) where status in ('delivered', 'failed', 'dropped');

create table delivery_attempt (
    delivery_id uuid not null references delivery (id) on delete cascade,
    number integer not null,
    at timestamptz not null,
    duration_ms integer not null,
    -- the HTTP status, where there was an answer
    status integer,
    -- why it failed; null when it did not
    error text,
    -- how the answer began
    excerpt text,
    primary key (delivery_id, number)
);
