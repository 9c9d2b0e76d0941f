drop index dead_letter_under_way;
alter table outbox drop column work_id;
