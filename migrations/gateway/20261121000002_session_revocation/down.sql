drop table session_revocation;
