drop schema simulator cascade;
drop table payment;
