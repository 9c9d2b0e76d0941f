alter table orders alter column payment_id set not null;
