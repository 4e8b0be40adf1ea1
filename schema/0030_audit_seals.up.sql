-- The audit log is append-only for everybody, and a sealer closes it range by range into a keyed chain of seals, so that
-- what was changed past this trigger is found out. Fit for a log that has long been in use: no row is rewritten.

-- Seals and verifies; see 0001 for how roles are made.
do $$
begin
    if not exists (select from pg_roles where rolname = 'codeccloud_sealer') then
        begin
            create role codeccloud_sealer nologin;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role(current_user, 'codeccloud_sealer', 'member') then
        begin
            grant codeccloud_sealer to current_user;
        exception when unique_violation then null;
        end;
    end if;
end
$$;
grant usage on schema public, app_private to codeccloud_sealer;

-- Ids commit out of order, transactions below the oldest running one are final: sealing goes by these. A restored database
-- counts its transactions anew, hence the cluster. Without a default at first, so that entries of the past have neither.
alter table audit_log add column transaction_id xid8, add column cluster_id bigint;
alter table audit_log
    alter column transaction_id set default pg_current_xact_id(),
    alter column cluster_id set default (pg_control_system()).system_identifier;

-- What has the right to is refused as well: the owner, and a superuser. Erasing a customer will need a way past it, which
-- is to be a function of a role of its own, excepted here by name, that leaves a sealed entry of what it did.
create function app_private.refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) using errcode = 'insufficient_privilege';
end
$$;
revoke execute on function app_private.refuse_audit_change from public;

create policy sealer on audit_log for select to codeccloud_sealer using (true);
grant select on audit_log to codeccloud_sealer;

-- One chain for all tenants, hence no tenant_id: entries of the past may have none, and a tenant whose log and seals are
-- gone as a whole would be missed by nobody but the chain.
create table audit_seals (
    number bigint primary key check (number > 0),  -- without gap
    cluster_id bigint not null,  -- of the entries; 0 for those from before there were transaction ids
    after_transaction xid8 not null,  -- the range, in the order of (transaction, id): beyond this entry …
    after_id bigint not null,
    through_transaction xid8 not null,  -- … up to this one
    through_id bigint not null,
    digests bytea not null,  -- of each entry its id, 8 bytes, and its keyed hash, 16 bytes
    key_id text not null,
    sealed_at timestamptz not null,
    previous bytea not null,  -- the seal before
    seal bytea not null  -- keyed hash of all of the above
);
-- Hashes don't compress.
alter table audit_seals alter column digests set storage external;
create index on audit_seals (cluster_id, number);
alter table audit_seals enable row level security, force row level security;
create policy sealer on audit_seals for select to codeccloud_sealer using (true);
create policy sealer_appends on audit_seals for insert to codeccloud_sealer with check (true);
create policy reader on audit_seals for select to codeccloud_reader using (true);
grant select, insert on audit_seals to codeccloud_sealer;
grant select on audit_seals to codeccloud_reader;

-- When somebody last looked whether the log is whole, for the servers' metrics.
create table audit_verifications (
    id bigint generated always as identity primary key,
    verified_at timestamptz not null default now(),
    last_seal bigint not null,
    entries bigint not null,
    findings bigint not null
);
alter table audit_verifications enable row level security, force row level security;
create policy sealer on audit_verifications for select to codeccloud_sealer using (true);
create policy sealer_appends on audit_verifications for insert to codeccloud_sealer with check (true);
grant select, insert on audit_verifications to codeccloud_sealer;

create trigger refuse_audit_change before update or delete or truncate on audit_log
    for each statement execute function app_private.refuse_audit_change();
create trigger refuse_audit_change before update or delete or truncate on audit_seals
    for each statement execute function app_private.refuse_audit_change();
-- Also for a session that plays a replica.
alter table audit_log enable always trigger refuse_audit_change;
alter table audit_seals enable always trigger refuse_audit_change;
