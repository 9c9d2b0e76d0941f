-- What a notification says in figures (status, amount, payment, reason, code), for receivers of webhooks.
alter table notification add column details jsonb;
