lock table orders in exclusive mode;
