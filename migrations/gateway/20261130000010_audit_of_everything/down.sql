drop table operation_key;
-- the audit is append-only: rows that have no subject or no reason stay, and so does what allows them
alter table operation_audit drop column resource;
