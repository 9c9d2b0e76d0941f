comment on column refresh_tokens.overtaken is null;
alter table refresh_tokens drop column sealed_answer;
