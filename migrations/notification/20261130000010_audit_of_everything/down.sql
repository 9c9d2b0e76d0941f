drop table operation_key;
alter table operation_audit drop column resource;
