drop table product_change;
