drop table login_throttle;
delete from signing_keys;
alter table signing_keys
    drop column sealed_seed,
    drop column sealed_with,
    drop column signs_from,
    add column private_key bytea not null check (octet_length(private_key) = 32),
    add column retired_at timestamptz;
create unique index signing_keys_one_active on signing_keys ((retired_at is null)) where retired_at is null;
