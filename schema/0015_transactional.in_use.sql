-- Functions belong to whoever may do what they do before triggers call them. The deployment's own triggers are left to 0035,
-- which knows those of single months too.

\instead create function app_private.leave_store_alone;
\instead select app_private.leave_store_alone('resource_allocations');
\instead select app_private.leave_store_alone('products');
\instead select app_private.leave_store_alone('product_stock_movements');
\instead select app_private.leave_store_alone('appointments');
\instead drop function app_private.leave_store_alone;

\instead create trigger count_appointment;
-- step:
grant create on schema app_private to codeccloud_audit;
alter function app_private.count_appointments owner to codeccloud_audit;
alter function app_private.counted_as owner to codeccloud_audit;
alter function app_private.count_appointment() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
create trigger count_appointment after insert or update or delete on appointments
    for each row when (current_user <> 'codeccloud_store') execute function app_private.count_appointment();

\instead create trigger refuse_month_overlap;
-- step:
grant create on schema app_private to codeccloud_audit;
alter function app_private.refuse_month_overlap() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
create trigger refuse_month_overlap before insert or update of slot, slot_start, slot_end, staff_id, status on appointments
    for each row when (
        new.status in ('scheduled', 'confirmed', 'checked_in') and (
            extract(day from new.slot_start at time zone 'UTC') <= 2
            or date_trunc('month', new.slot_start at time zone 'UTC')
                <> date_trunc('month', new.slot_end at time zone 'UTC')
        )
    ) execute function app_private.refuse_month_overlap();
