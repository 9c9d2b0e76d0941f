-- the constraint stays as it is
select 1;
