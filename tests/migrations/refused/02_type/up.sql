alter table orders alter column announced type numeric;
