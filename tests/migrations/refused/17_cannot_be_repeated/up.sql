create index concurrently cannot_be_repeated on orders (total_minor);
