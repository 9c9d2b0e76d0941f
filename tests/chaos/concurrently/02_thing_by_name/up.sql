create unique index concurrently if not exists thing_by_name on thing (name);
