-- What waits for its payment, the longest first: the deadline's timer looks here every second, and reads no more than
-- what is overdue, however many orders wait.
create index orders_deadline on orders (created_at, id) where status = 'pending';
