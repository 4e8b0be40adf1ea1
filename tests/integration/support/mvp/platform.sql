-- What the hosting platform's administrator has made before the MVP's own schema: roles, the extensions (the owner may not
-- create any), and nothing else. Runs as superuser, in the MVP's database.
create schema extensions;
create extension btree_gist with schema extensions;
create extension pg_trgm with schema extensions;
create extension pgcrypto with schema extensions;
grant usage on schema extensions to public;
grant create on schema public to salon_owner;
