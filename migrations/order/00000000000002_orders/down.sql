drop table idempotency_key;
drop table orders;
drop table product;
