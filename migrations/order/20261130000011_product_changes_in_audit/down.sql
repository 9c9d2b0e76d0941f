-- The audit is append-only: what was added to it stays.
select 1;
