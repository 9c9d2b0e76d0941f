-- A token whose answer was lost, so that another took its place, is not one that was used: nobody sends it again.
alter table refresh_tokens
    add column overtaken boolean not null default false,
    add constraint refresh_tokens_overtaken_is_spent check (not overtaken or spent_at is not null);

-- Spent tokens of logins that go on are forgotten once nobody could use them anyway.
create index refresh_tokens_by_spending on refresh_tokens (spent_at) where spent_at is not null;
