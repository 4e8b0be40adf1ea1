-- What deployments have otherwise than 0001: triggers that stand on single months, have conditions, or are switched off in
-- one of them; policies for every role, with functions that not everybody may execute; triggers with other names than ours.

-- What the journal's store writes is recorded with it: triggers that record, found by what their functions write, leave it
-- alone. Each keeps its condition, and is switched on or off wherever it was. Those of a month that somebody makes later
-- are found by upkeep.
create function app_private.leave_records_to_store(target regclass) returns void language plpgsql as $$
declare
    recording record;
    switches text[];
    switch text;
    statement text;
begin
    for recording in
        select t.oid, t.tgqual is not null as has_condition, pg_get_triggerdef(t.oid) as definition
        from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where (t.tgrelid = target or t.tgrelid in (select inhrelid from pg_inherits where inhparent = target))
            and not t.tgisinternal and t.tgparentid = 0 and t.tgconstraint = 0 and t.tgtype & 66 = 0  -- after
            and p.prosrc ~ '\m(audit_log|outbox_events|data_version)\M'
            and pg_get_triggerdef(t.oid) not like '%codeccloud_store%'
        order by t.tgrelid::regclass::text, t.tgname
    loop
        select array_agg(format(
            'alter table only %s %s trigger %I', s.tgrelid::regclass,
            case s.tgenabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end, s.tgname
        ))
        from pg_trigger s
        where (s.oid = recording.oid or s.tgparentid = recording.oid) and s.tgenabled <> 'O'
        into switches;
        statement := regexp_replace(recording.definition, '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER');
        if recording.has_condition then
            statement := regexp_replace(
                statement, ' WHEN \((.*)\) EXECUTE FUNCTION ',
                ' WHEN (current_user <> ''codeccloud_store'' AND (\1)) EXECUTE FUNCTION '
            );
        else
            statement := replace(
                statement, ' EXECUTE FUNCTION ', ' WHEN (current_user <> ''codeccloud_store'') EXECUTE FUNCTION '
            );
        end if;
        execute statement;
        foreach switch in array coalesce(switches, '{}') loop
            execute switch;
        end loop;
    end loop;
end
$$;
revoke execute on function app_private.leave_records_to_store(regclass) from public;

select app_private.leave_records_to_store('resource_allocations');
select app_private.leave_records_to_store('products');
select app_private.leave_records_to_store('product_stock_movements');
select app_private.leave_records_to_store('appointments');

-- step: A policy that holds for a role asks functions with that role's rights: whoever may not execute one reads nothing and
-- writes nothing. Run again wherever a later migration makes a role, or a policy for other roles than those that members have.
create function app_private.let_roles_ask() returns void language plpgsql as $$
declare
    missing record;
begin
    for missing in
        select distinct r.rolname as role, f.oid::regprocedure::text as function,
            f.pronamespace::regnamespace::text as schema,
            has_schema_privilege(r.oid, f.pronamespace, 'usage') as has_schema
        from pg_policy p
        join pg_class c on c.oid = p.polrelid and c.relnamespace = 'public'::regnamespace
        cross join lateral (
            select d.refobjid from pg_depend d
            where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refclassid = 'pg_proc'::regclass
            -- These may be asked by those.
            union
            select unnest(array[
                'auth.uid()', 'auth.role()', 'app_private.current_tenant_id()', 'app_private.is_tenant_member(uuid)'
            ]::regprocedure[])
            where 0 = any (p.polroles)
        ) asked (oid)
        join pg_proc f on f.oid = asked.oid
        join pg_roles r on (r.rolname = 'authenticated' or r.rolname like 'codeccloud\_%') and not r.rolcanlogin
        where exists (select from unnest(p.polroles) role where role = 0 or pg_has_role(r.oid, role, 'usage'))
            and not (
                has_function_privilege(r.oid, f.oid, 'execute') and has_schema_privilege(r.oid, f.pronamespace, 'usage')
            )
        order by 1, 2
    loop
        if not missing.has_schema then
            execute format('grant usage on schema %s to %I', missing.schema, missing.role);
        end if;
        execute format('grant execute on function %s to %I', missing.function, missing.role);
    end loop;
end
$$;
revoke execute on function app_private.let_roles_ask() from public;
select app_private.let_roles_ask();

-- step: Last of its kind, by name: whatever sets the bounds of a slot has done so.
alter trigger refuse_month_overlap on appointments rename to zzz_refuse_month_overlap;
