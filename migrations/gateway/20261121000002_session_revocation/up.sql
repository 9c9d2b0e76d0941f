-- Logins that ended before their access tokens expired. Every instance of the gateway keeps these rows in memory; a row
-- goes when the last token it speaks of has expired.
create table session_revocation (
    event_id uuid primary key,
    user_id uuid not null,
    -- null when all logins of the user ended
    session_id uuid,
    revoked_at timestamptz not null,
    expires_at timestamptz not null,
    -- Who reads what is new cannot go by any number that is taken before the commit: a later number may be seen first.
    -- By the writing transaction it can: everything below the oldest one running at a read was seen by that read.
    transaction_id xid8 not null default pg_current_xact_id()
);

create index session_revocation_transaction on session_revocation (transaction_id);
create index session_revocation_expires on session_revocation (expires_at);
