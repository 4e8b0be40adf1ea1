-- A customer's own bookings, those long past included. Without it each customer's list read all that the salon ever had.
-- It costs an insert some microseconds, so there is no such index for staff: one in a handful of a salon's bookings is any
-- person's, and they are found along the index of slots soon enough.
-- The slot's start is spelled otherwise than in that index, so that no statistics make a customer's list go along it.
create index saga_instances_customer on saga_instances (
    tenant_id, ((state ->> 'customerId')::uuid), (state #>> '{slotStart}') collate "C", saga_id
) where saga_type = 'booking';
