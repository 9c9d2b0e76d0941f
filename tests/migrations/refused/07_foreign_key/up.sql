alter table orders add constraint orders_sku foreign key (sku) references product (sku);
