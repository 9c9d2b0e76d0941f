-- The answer that a spent token was given, for whoever sends it again: sealed with the service's key and the token
-- itself, which is not stored. It is removed when the successor is used, or after the grace.
alter table refresh_tokens add column sealed_answer bytea;

-- A token has one successor, so none is superseded any more. The column stays for replicas of the release before.
comment on column refresh_tokens.overtaken is 'unused; kept for replicas of an earlier release';
