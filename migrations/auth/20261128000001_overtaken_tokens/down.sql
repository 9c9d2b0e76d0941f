drop index refresh_tokens_by_spending;
alter table refresh_tokens drop column overtaken;
