alter trigger zzz_refuse_month_overlap on appointments rename to refuse_month_overlap;
drop function app_private.let_roles_ask();
drop function app_private.leave_records_to_store(regclass);

-- A deployment's triggers get the conditions back that they had; ours are 0015's.
do $$
declare
    recording record;
    switches text[];
    switch text;
begin
    for recording in
        select t.oid, pg_get_triggerdef(t.oid) as definition
        from pg_trigger t
        where exists (select from app_private.schema_migrations where number = 1 and adopted_at is not null)
            and (t.tgrelid = any (array[
                'appointments', 'resource_allocations', 'products', 'product_stock_movements'
            ]::regclass[]) or t.tgrelid in (select inhrelid from pg_inherits where inhparent = 'appointments'::regclass))
            and not t.tgisinternal and t.tgparentid = 0 and t.tgname <> 'count_appointment'
            and pg_get_triggerdef(t.oid) like '%codeccloud_store%'
        order by t.tgrelid::regclass::text, t.tgname
    loop
        select array_agg(format(
            'alter table only %s %s trigger %I', s.tgrelid::regclass,
            case s.tgenabled when 'D' then 'disable' when 'A' then 'enable always' else 'enable replica' end, s.tgname
        ))
        from pg_trigger s
        where (s.oid = recording.oid or s.tgparentid = recording.oid) and s.tgenabled <> 'O'
        into switches;
        execute regexp_replace(regexp_replace(regexp_replace(
            recording.definition, '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
            ' WHEN \(\(CURRENT_USER <> ''codeccloud_store''::name\)\) EXECUTE FUNCTION ', ' EXECUTE FUNCTION '),
            ' WHEN \(\(\(CURRENT_USER <> ''codeccloud_store''::name\) AND (.*)\)\) EXECUTE FUNCTION ',
            ' WHEN (\1) EXECUTE FUNCTION '
        );
        foreach switch in array coalesce(switches, '{}') loop
            execute switch;
        end loop;
    end loop;
end
$$;
