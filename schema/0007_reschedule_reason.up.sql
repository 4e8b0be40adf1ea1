-- Why a customer wanted another time is free text, so it belongs in the vault too.
alter table vault_notes drop constraint vault_notes_kind_check;
alter table vault_notes add constraint vault_notes_kind_check
    check (kind in ('note', 'reschedule_reason', 'cancellation_reason'));
