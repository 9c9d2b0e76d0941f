drop index concurrently if exists two_statements;
create index concurrently if not exists two_statements on orders (total_minor);
