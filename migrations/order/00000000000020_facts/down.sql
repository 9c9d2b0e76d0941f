drop trigger outbox_keeps_order_facts on outbox;
drop function keep_order_facts;
drop table order_fact;
