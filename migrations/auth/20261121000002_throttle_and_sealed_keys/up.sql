-- Signing keys are sealed, and follow each other by the time from which they sign.

-- Seeds that lay here in the clear sign nothing any more, and their tokens are refused: whoever holds one
-- refreshes it.
delete from signing_keys;
drop index signing_keys_one_active;
alter table signing_keys
    drop column private_key,
    drop column retired_at,
    -- nonce, sealed Ed25519 seed, tag (XChaCha20-Poly1305)
    add column sealed_seed bytea not null check (octet_length(sealed_seed) = 72),
    -- name of the key-encryption key
    add column sealed_with text not null,
    -- published since created_at; the newest key whose time has come signs
    add column signs_from timestamptz not null;

-- Failed logins, by account and by client.
create table login_throttle (
    -- a keyed hash of the account's or the client's address: who reads this table learns neither
    subject bytea primary key check (octet_length(subject) = 32),
    failures integer not null check (failures > 0),
    -- until then every attempt is refused
    blocked_until timestamptz not null,
    -- forgotten then
    expires_at timestamptz not null
);

create index login_throttle_by_expiry on login_throttle (expires_at);
