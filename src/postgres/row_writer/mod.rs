//! The arguments of `app_private.write_rows`: one array per column. A command of MVP mode and a batch of the journal fill
//! them alike.

mod movements;
mod rounds;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::rows::{AppointmentChange, Hold, LedgerEntry, RowChange};
use codeccloud_actors::sagas::booking::BookingStatus;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use self::movements::MovementColumns;
use self::rounds::Rounds;
use super::types::{JsonText, PgDate, PgMicros, PgTime};

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// As many arrays as `app_private.write_rows` takes behind that of the metadata.
pub(super) const ARGUMENTS: usize = 39 + movements::ARGUMENTS;
/// The position of the statuses among them, whose type the driver doesn't know.
const STATUSES: usize = 7;

/// `$first` and so on, as the function takes them.
pub(super) fn placeholders(first: usize) -> String {
    let placeholder = |nth| {
        let cast = if nth == STATUSES { "::public.appointment_status[]" } else { "" };
        format!("${}{cast}", first + nth)
    };
    (0..ARGUMENTS).map(placeholder).collect::<Vec<_>>().join(",")
}

#[derive(Default)]
pub(super) struct RowColumns<'a> {
    rounds: Rounds,
    round: Vec<i32>,
    tenant: Vec<Uuid>,
    id: Vec<Uuid>,
    at: Vec<Option<PgMicros>>,
    customer: Vec<Option<Uuid>>,
    staff: Vec<Uuid>,
    service: Vec<Option<Uuid>>,
    status: Vec<&'static str>,
    start: Vec<PgTime>,
    end: Vec<PgTime>,
    price: Vec<i32>,
    currency: Vec<&'static str>,
    version: Vec<i32>,
    created: Vec<PgTime>,
    updated: Vec<PgTime>,
    moved: Vec<Option<PgTime>>,
    buffer_before: Vec<Option<i32>>,
    buffer_after: Vec<Option<i32>>,
    fee_waived: Vec<bool>,
    reason_recorded: Vec<bool>,
    event: Vec<Uuid>,
    metadata: Vec<i32>,
    work_tenant: Vec<Uuid>,
    work_staff: Vec<Uuid>,
    work_day: Vec<PgDate>,
    work_minutes: Vec<i32>,
    ledger_tenant: Vec<Uuid>,
    ledger_customer: Vec<Uuid>,
    ledger_version: Vec<i32>,
    ledger_id: Vec<Uuid>,
    ledger_kind: Vec<&'static str>,
    ledger_points: Vec<i64>,
    ledger_booking: Vec<Option<Uuid>>,
    ledger_reference: Vec<Option<Uuid>>,
    ledger_expires: Vec<Option<PgTime>>,
    ledger_created: Vec<PgTime>,
    ledger_balance: Vec<Option<i64>>,
    ledger_state: Vec<Option<JsonText<'a>>>,
    ledger_metadata: Vec<i32>,
    movements: MovementColumns<'a>,
}

impl<'a> RowColumns<'a> {
    pub fn is_empty(&self) -> bool {
        self.id.is_empty() && self.ledger_id.is_empty() && self.work_day.is_empty() && self.movements.is_empty()
    }

    /// What one command changes. `metadata` is its number among the metadata of the batch.
    pub fn add(&mut self, tenant_id: TenantId, changes: &'a [RowChange], metadata: i32) {
        for change in changes {
            match change {
                RowChange::Appointment(change) => {
                    let hold = changes.iter().find_map(|other| match other {
                        RowChange::Hold(hold) if hold.booking_id == change.booking_id => Some(hold),
                        RowChange::Hold(_)
                        | RowChange::Appointment(_)
                        | RowChange::Ledger(_)
                        | RowChange::Movement(_) => None,
                    });
                    self.add_appointment(tenant_id, change, hold, metadata);
                }
                RowChange::Hold(hold) => self.add_working_minutes(tenant_id, hold),
                RowChange::Ledger(entry) => self.add_ledger(tenant_id, entry, metadata),
                RowChange::Movement(movement) => self.movements.add(tenant_id, movement, metadata),
            }
        }
    }

    /// Exactly there, where a change only knows the millisecond.
    pub fn stand_at(&mut self, exactly: PgMicros) {
        for at in self.at.iter_mut().flatten().filter(|at| at.shown() == exactly.shown()) {
            *at = exactly;
        }
    }

    fn add_appointment(&mut self, tenant_id: TenantId, change: &AppointmentChange, hold: Option<&Hold>, metadata: i32) {
        let details = &change.details;
        self.round.push(self.rounds.next(tenant_id, details.staff_id, change.booking_id, change.at.is_none()));
        self.tenant.push(tenant_id.0);
        self.id.push(change.booking_id.0);
        self.at.push(change.at.map(PgMicros::from));
        self.customer.push(details.customer_id.map(|id| id.0));
        self.staff.push(details.staff_id.0);
        self.service.push(details.service_id.map(|id| id.0));
        self.status.push(row_status(details.status));
        self.start.push(PgTime(details.slot.start));
        self.end.push(PgTime(details.slot.end));
        // The door lets no price in that the column can't hold.
        self.price.push(i32::try_from(details.price.amount).unwrap_or(i32::MAX));
        self.currency.push(details.price.currency.as_str());
        self.version.push(int(change.version.0));
        self.created.push(PgTime(details.created_at));
        self.updated.push(PgTime(details.updated_at));
        self.moved.push(change.moved_at.map(PgTime));
        self.buffer_before.push(hold.map(|hold| int(hold.buffer_before_minutes)));
        self.buffer_after.push(hold.map(|hold| int(hold.buffer_after_minutes)));
        self.fee_waived.push(change.fee_waived);
        self.reason_recorded.push(details.reason_recorded);
        self.event.push(change.event_id.0);
        self.metadata.push(metadata);
    }

    fn add_working_minutes(&mut self, tenant_id: TenantId, hold: &Hold) {
        for (day, minutes) in &hold.working_minutes {
            self.work_tenant.push(tenant_id.0);
            self.work_staff.push(hold.staff_id.0);
            self.work_day.push(PgDate(*day));
            self.work_minutes.push(int(*minutes));
        }
    }

    fn add_ledger(&mut self, tenant_id: TenantId, entry: &'a LedgerEntry, metadata: i32) {
        if entry.account.is_some() {
            // An account is written once a batch, as the last entry leaves it.
            for (nth, customer) in self.ledger_customer.iter().enumerate() {
                if *customer == entry.customer_id.0 && self.ledger_tenant[nth] == tenant_id.0 {
                    self.ledger_balance[nth] = None;
                    self.ledger_state[nth] = None;
                }
            }
        }
        self.ledger_tenant.push(tenant_id.0);
        self.ledger_customer.push(entry.customer_id.0);
        self.ledger_version.push(int(entry.version.0));
        self.ledger_id.push(entry.event_id.0);
        self.ledger_kind.push(entry.kind);
        self.ledger_points.push(entry.points);
        self.ledger_booking.push(entry.booking_id.map(|id| id.0));
        self.ledger_reference.push(entry.reference_id);
        self.ledger_expires.push(entry.expires_at.map(PgTime));
        self.ledger_created.push(PgTime(entry.occurred_at));
        let account = entry.account.as_ref();
        self.ledger_balance.push(account.map(|account| i64::try_from(account.balance).unwrap_or(i64::MAX)));
        self.ledger_state.push(account.map(|account| JsonText(account.state.as_bytes())));
        self.ledger_metadata.push(metadata);
    }

    #[rustfmt::skip]
    pub fn params(&self) -> Vec<Parameter<'_>> {
        let before: [Parameter<'_>; ARGUMENTS - movements::ARGUMENTS] = [
            (&self.round, Type::INT4_ARRAY), (&self.tenant, Type::UUID_ARRAY), (&self.id, Type::UUID_ARRAY),
            (&self.at, Type::TIMESTAMPTZ_ARRAY), (&self.customer, Type::UUID_ARRAY), (&self.staff, Type::UUID_ARRAY),
            (&self.service, Type::UUID_ARRAY), (&self.status, Type::TEXT_ARRAY), (&self.start, Type::TIMESTAMPTZ_ARRAY),
            (&self.end, Type::TIMESTAMPTZ_ARRAY), (&self.price, Type::INT4_ARRAY), (&self.currency, Type::TEXT_ARRAY),
            (&self.version, Type::INT4_ARRAY), (&self.created, Type::TIMESTAMPTZ_ARRAY),
            (&self.updated, Type::TIMESTAMPTZ_ARRAY), (&self.moved, Type::TIMESTAMPTZ_ARRAY),
            (&self.buffer_before, Type::INT4_ARRAY), (&self.buffer_after, Type::INT4_ARRAY),
            (&self.fee_waived, Type::BOOL_ARRAY), (&self.reason_recorded, Type::BOOL_ARRAY),
            (&self.event, Type::UUID_ARRAY), (&self.metadata, Type::INT4_ARRAY),
            (&self.work_tenant, Type::UUID_ARRAY), (&self.work_staff, Type::UUID_ARRAY),
            (&self.work_day, Type::DATE_ARRAY), (&self.work_minutes, Type::INT4_ARRAY),
            (&self.ledger_tenant, Type::UUID_ARRAY), (&self.ledger_customer, Type::UUID_ARRAY),
            (&self.ledger_version, Type::INT4_ARRAY), (&self.ledger_id, Type::UUID_ARRAY),
            (&self.ledger_kind, Type::TEXT_ARRAY), (&self.ledger_points, Type::INT8_ARRAY),
            (&self.ledger_booking, Type::UUID_ARRAY), (&self.ledger_reference, Type::UUID_ARRAY),
            (&self.ledger_expires, Type::TIMESTAMPTZ_ARRAY), (&self.ledger_created, Type::TIMESTAMPTZ_ARRAY),
            (&self.ledger_balance, Type::INT8_ARRAY), (&self.ledger_state, Type::JSONB_ARRAY),
            (&self.ledger_metadata, Type::INT4_ARRAY),
        ];
        before.into_iter().chain(self.movements.params()).collect()
    }
}

/// The MVP's name for a status: what waits for something outside is a draft to it.
pub(super) fn row_status(status: BookingStatus) -> &'static str {
    match status {
        BookingStatus::Pending => "draft",
        BookingStatus::Scheduled
        | BookingStatus::Confirmed
        | BookingStatus::CheckedIn
        | BookingStatus::Completed
        | BookingStatus::NoShow
        | BookingStatus::Cancelled => status.as_str(),
    }
}

fn int(value: u32) -> i32 {
    i32::try_from(value).expect("versions and minutes are far below 2^31")
}
