-- The older server can't read these. The owner sees no row of the vault while row security is forced.
alter table vault_notes no force row level security;
delete from vault_notes where kind = 'reschedule_reason';
alter table vault_notes force row level security;
alter table vault_notes drop constraint vault_notes_kind_check;
alter table vault_notes add constraint vault_notes_kind_check check (kind in ('note', 'cancellation_reason'));
