alter table orders add column note text;
alter table orders add column gift boolean not null default false;
