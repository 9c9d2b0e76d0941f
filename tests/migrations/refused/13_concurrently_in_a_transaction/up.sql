create index concurrently if not exists orders_by_total on orders (total_minor);
