drop table work;
drop table processed_event;
drop table outbox;
