drop function app_private.note_bookings;
revoke select (tenant_id, id, status, slot_start, slot_end, version) on appointments from codeccloud_outbox;
drop policy outbox on appointments;
