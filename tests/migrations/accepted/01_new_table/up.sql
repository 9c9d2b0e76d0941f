-- a table of its own may be given everything at once
create table receipt (
    order_id uuid primary key,
    amount_minor bigint not null check (amount_minor > 0)
);

create index receipt_by_amount on receipt (amount_minor);
