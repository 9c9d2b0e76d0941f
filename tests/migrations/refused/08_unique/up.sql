alter table orders add constraint orders_payment unique (payment_id);
