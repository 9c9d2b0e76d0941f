-- One row a payment event. What is asked of them is asked with views, so that no event needs another to be counted.
create table fact (
    event_id uuid primary key,
    day date not null,
    kind text not null check (kind in ('payment.completed', 'payment.failed', 'payment.refunded')),
    currency text not null,
    amount_minor bigint not null,
    failure_code text
);

create index fact_day on fact (day);

create view revenue as
select
    day,
    currency,
    count(*) filter (where kind = 'payment.completed') as payments,
    coalesce(sum(amount_minor) filter (where kind = 'payment.completed'), 0)::bigint as taken_minor,
    coalesce(sum(amount_minor) filter (where kind = 'payment.refunded'), 0)::bigint as refunded_minor,
    coalesce(sum(case kind when 'payment.completed' then amount_minor when 'payment.refunded' then -amount_minor end), 0)::bigint
        as net_minor
from fact
group by day, currency;

create view failures as
select
    day,
    count(*) as attempts,
    count(*) filter (where kind = 'payment.failed') as failed,
    round(100.0 * count(*) filter (where kind = 'payment.failed') / count(*), 1)::double precision as percent
from fact
where kind <> 'payment.refunded'
group by day;

create view failure_codes as
select day, failure_code, count(*) as failed
from fact
where kind = 'payment.failed'
group by day, failure_code;
