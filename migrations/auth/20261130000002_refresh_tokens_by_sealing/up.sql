-- Sealed answers are removed after the grace.
create index concurrently if not exists refresh_tokens_by_sealing on refresh_tokens (spent_at)
    where sealed_answer is not null;
