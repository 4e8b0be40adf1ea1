drop function app_private.finish_attempt;
drop function app_private.close_outbox_entry;
drop table outbox_deliveries, outbox_bookings, app_private.outbox_start;
-- The role stays: other databases of the cluster may use it.
drop owned by codeccloud_outbox;
