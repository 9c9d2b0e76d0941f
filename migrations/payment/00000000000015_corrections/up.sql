-- Dead letters of the charge that operators have corrected, the oldest first: each stands for an idempotency key of its own,
-- `<order>.<letter>`.
alter table payment add column corrections uuid[] not null default '{}';
