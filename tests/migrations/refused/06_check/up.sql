alter table orders add constraint orders_paid check (payment_id is not null);
