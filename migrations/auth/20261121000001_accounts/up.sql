-- Accounts, logins and the keys that sign access tokens.

create table users (
    id uuid primary key,
    -- canonical form: the application writes nothing else
    email text not null constraint users_email_taken unique,
    display_name text,
    role text not null check (role in ('customer', 'admin')),
    disabled boolean not null default false,
    -- argon2id, PHC string
    password_hash text not null,
    -- number of the last event announced about this user
    event_sequence bigint not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- A login, and the family of refresh tokens that came from it. At most one token of a family is live.
create table sessions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    -- generation of the live token; a token of an earlier one has been used
    generation integer not null default 1,
    created_at timestamptz not null,
    refreshed_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    end_reason text check (end_reason in ('logout', 'password_changed', 'account_changed', 'token_reuse')),
    check ((ended_at is null) = (end_reason is null))
);

create index sessions_of_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

create table refresh_tokens (
    -- SHA-256 of the token: who reads this table can use none of them
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    session_id uuid not null references sessions on delete cascade,
    generation integer not null,
    created_at timestamptz not null,
    -- when it was used, or overtaken by the answer to a retry
    spent_at timestamptz
);

create index refresh_tokens_of_session on refresh_tokens (session_id);
create unique index refresh_tokens_one_live on refresh_tokens (session_id) where spent_at is null;

create table signing_keys (
    -- RFC 7638 thumbprint of the public key
    kid text primary key,
    public_key bytea not null check (octet_length(public_key) = 32),
    -- the Ed25519 seed
    private_key bytea not null check (octet_length(private_key) = 32),
    created_at timestamptz not null,
    -- from then on it signs nothing; it stays published while its tokens live
    retired_at timestamptz
);

-- One key signs: of replicas that start at once, one makes it.
create unique index signing_keys_one_active on signing_keys ((retired_at is null)) where retired_at is null;
