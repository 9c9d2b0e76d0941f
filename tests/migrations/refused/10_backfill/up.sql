alter table orders add column note text;

update orders set note = '';
