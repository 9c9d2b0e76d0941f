create table if not exists thing (name text not null);
