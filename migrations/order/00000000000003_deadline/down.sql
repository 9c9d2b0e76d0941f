drop index orders_deadline;
