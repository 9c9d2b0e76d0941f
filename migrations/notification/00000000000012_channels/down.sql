drop table delivery_attempt;
drop table delivery;
drop table webhook;
drop table preference;
drop table recipient;
drop table inbox;
drop index notification_number;
alter table notification drop column hidden;
alter table notification drop column number;
delete from notification where kind = 'webhook_disabled';
alter table notification drop constraint notification_kind_check;
alter table notification add constraint notification_kind_check check (kind in (
    'welcome', 'order_created', 'payment_completed', 'order_confirmed', 'payment_failed', 'order_cancelled',
    'payment_refunded'));
