drop index orders_pending;
