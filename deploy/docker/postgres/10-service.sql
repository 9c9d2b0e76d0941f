-- Run once, when a server's data directory is new: the service's role, which may do what it likes in its own
-- database and is nobody elsewhere.
\getenv name SERVICE
\getenv password SERVICE_PASSWORD
create role :"name" login password :'password';
create database :"name" owner :"name";
revoke all on database :"name" from public;
