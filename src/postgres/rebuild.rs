//! Rows made anew from events: for tenants whose events are older than the rows that go with them.
//!
//! A tenant is rebuilt in one transaction, which no write of it can overlap. What the rows would have told others when they
//! were first written is not told again.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::staff_utilisation::StaffUtilisation;
use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{BookingId, StaffId, TenantId, UserId, Version};
use codeccloud_actors::ports::StoreError;
use codeccloud_actors::rows::{AppointmentChange, Decided, Hold, RowChange};
use codeccloud_actors::sagas::booking::BookingSaga;
use futures_util::TryStreamExt;
use jiff::civil::Date;
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::row_writer::{self, RowColumns};
use super::rows::{EVENT_COLUMNS, recorded_event};
use super::{Database, DatabaseRole, away, described};
use crate::commands::Months;

/// Changes in one statement.
const CHUNK: usize = 1_000;
/// Behind the columns of [`EVENT_COLUMNS`].
const ACTOR: usize = 14;

/// Rebuilds the rows of all tenants that need it. Call it before anything else writes.
pub async fn rebuild_rows(database: &Database, months: &dyn Months) -> Result<(), StoreError> {
    let mut owner = database.connect(DatabaseRole::Owner).await.map_err(store_error)?;
    let sql = "SELECT tenant_id FROM tenant_stages WHERE NOT rows_complete ORDER BY tenant_id";
    let rows = owner.query_typed(sql, &[]).await.map_err(store_error)?;
    for row in rows {
        let tenant_id = TenantId(row.get(0));
        let mut reader = database.connect(DatabaseRole::Reader).await.map_err(store_error)?;
        let reader = reader.snapshot().await.map_err(store_error)?;
        let writer = owner.transaction().await.map_err(store_error)?;
        Rebuilding { tenant_id, reader: &reader, writer, months, changes: Vec::with_capacity(CHUNK) }.run().await?;
        tracing::info!(%tenant_id, "a tenant's rows were made anew from its events");
    }
    Ok(())
}

struct Rebuilding<'a> {
    tenant_id: TenantId,
    reader: &'a Transaction<'a>,
    writer: Transaction<'a>,
    months: &'a dyn Months,
    /// Still to be written.
    changes: Vec<RowChange>,
}

/// What people's calendars say: of each booking the newest, and what each day had to offer.
#[derive(Default)]
struct Holds {
    of_bookings: HashMap<BookingId, Hold>,
    worked: BTreeMap<(StaffId, Date), u32>,
}

impl Rebuilding<'_> {
    async fn run(mut self) -> Result<(), StoreError> {
        // Alone: as long as it lasts, nobody else writes for the tenant.
        let enter = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0)), \
                     set_config('codeccloud.rebuilding', 'on', true)";
        self.writer.query_typed(enter, &[(&self.tenant_id.to_string(), Type::TEXT)]).await.map_err(store_error)?;
        // Another node that has started at the same time may have been first.
        let sql = "SELECT rows_complete FROM tenant_stages WHERE tenant_id = $1";
        let stage = self.writer.query_typed(sql, &[(&self.tenant_id.0, Type::UUID)]).await.map_err(store_error)?;
        if stage.first().is_none_or(|row| row.get(0)) {
            return Ok(());
        }
        let holds = self.holds().await?;
        self.appointments(&holds).await?;
        self.as_decided::<StockItem>().await?;
        self.as_decided::<LoyaltyBalance>().await?;
        self.write().await?;
        self.totals(&holds).await?;
        self.writer.commit().await.map_err(store_error)
    }

    async fn holds(&mut self) -> Result<Holds, StoreError> {
        let mut holds = Holds::default();
        self.fold::<StaffUtilisation>(async |_, changes| {
            for change in changes {
                if let RowChange::Hold(hold) = change {
                    let worked = hold.working_minutes.iter().map(|(day, minutes)| ((hold.staff_id, *day), *minutes));
                    holds.worked.extend(worked);
                    holds.of_bookings.insert(hold.booking_id, hold);
                }
            }
            Ok(())
        })
        .await?;
        Ok(holds)
    }

    /// One row for each booking, as its last event leaves it.
    async fn appointments(&mut self, holds: &Holds) -> Result<(), StoreError> {
        let mut current: Option<AppointmentChange> = None;
        self.fold::<BookingSaga>(async |rebuilding, changes| {
            for change in changes {
                let RowChange::Appointment(change) = change else { continue };
                current = match current.take() {
                    Some(before) if before.booking_id == change.booking_id => Some(merged(&before, change)),
                    before => {
                        rebuilding.add_appointment(before, holds).await?;
                        Some(AppointmentChange { at: None, ..change })
                    }
                };
            }
            Ok(())
        })
        .await?;
        self.add_appointment(current, holds).await
    }

    async fn add_appointment(&mut self, change: Option<AppointmentChange>, holds: &Holds) -> Result<(), StoreError> {
        let Some(change) = change else { return Ok(()) };
        self.months.ensure(change.details.slot.start).await?;
        // What its days had to offer is written for all of them at the end.
        let hold = holds.of_bookings.get(&change.booking_id);
        self.changes.extend(hold.map(|hold| RowChange::Hold(Hold { working_minutes: Vec::new(), ..hold.clone() })));
        self.changes.push(RowChange::Appointment(change));
        if self.changes.len() >= CHUNK { self.write().await } else { Ok(()) }
    }

    /// A row for each event, and what the last one leaves.
    async fn as_decided<A: Aggregate>(&mut self) -> Result<(), StoreError> {
        self.fold::<A>(async |rebuilding, changes| {
            rebuilding.changes.extend(changes);
            if rebuilding.changes.len() >= CHUNK { rebuilding.write().await } else { Ok(()) }
        })
        .await
    }

    async fn totals(&mut self, holds: &Holds) -> Result<(), StoreError> {
        let recount = "SELECT app_private.recount_totals($1)";
        self.writer.query_typed(recount, &[(&self.tenant_id.0, Type::UUID)]).await.map_err(store_error)?;
        for ((staff_id, day), minutes) in &holds.worked {
            self.changes.push(RowChange::Hold(Hold {
                staff_id: *staff_id,
                booking_id: BookingId(Uuid::nil()),
                buffer_before_minutes: 0,
                buffer_after_minutes: 0,
                working_minutes: vec![(*day, *minutes)],
            }));
            if self.changes.len() >= CHUNK {
                self.write().await?;
            }
        }
        self.write().await?;
        let complete = "UPDATE tenant_stages SET rows_complete = true WHERE tenant_id = $1";
        self.writer.execute_typed(complete, &[(&self.tenant_id.0, Type::UUID)]).await.map_err(store_error)?;
        Ok(())
    }

    /// Folds all streams of a type, one after the other, and hands over what each event changes.
    async fn fold<A: Aggregate>(
        &mut self,
        mut take: impl AsyncFnMut(&mut Self, Vec<RowChange>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT {EVENT_COLUMNS}, (metadata ->> 'actor')::uuid FROM event_store WHERE tenant_id = $1 AND aggregate_type = $2 \
             ORDER BY aggregate_id, version"
        );
        let kind = A::TYPE.as_str();
        let arguments: [(&(dyn ToSql + Sync), Type); 2] = [(&self.tenant_id.0, Type::UUID), (&kind, Type::TEXT)];
        let mut rows = pin!(self.reader.query_typed_raw(&sql, arguments).await.map_err(store_error)?);
        let mut folded: Option<(Uuid, A)> = None;
        while let Some(row) = rows.try_next().await.map_err(store_error)? {
            let Some(recorded) = recorded_event(&row) else { continue };
            let id = recorded.stream.aggregate_id;
            let event =
                recorded.event.map_err(|unreadable| StoreError(format!("{}: {unreadable}", recorded.stream)))?;
            let event = A::Event::from_event(&event).expect("a stream holds its aggregate's events").clone();
            let mut state = folded.take().filter(|(of, _)| *of == id).map(|(_, state)| state).unwrap_or_default();
            state.evolve(&event, recorded.occurred_at);
            let changes = state.row_changes(&Decided {
                aggregate_id: id,
                before: Version(recorded.version.0.saturating_sub(1)),
                events: &[(recorded.event_id, event)],
                occurred_at: recorded.occurred_at,
                actor: row.get::<_, Option<_>>(ACTOR).map(UserId),
            });
            folded = Some((id, state));
            take(self, changes).await?;
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.changes);
        let mut columns = RowColumns::default();
        columns.add(self.tenant_id, &changes, 1);
        if columns.is_empty() {
            return Ok(());
        }
        let tenants = vec![self.tenant_id.0];
        let sql = format!("SELECT app_private.write_rows_of_append($1,NULL,{})", row_writer::placeholders(2));
        let of_rows = columns.params();
        let arguments: Vec<(&(dyn ToSql + Sync), Type)> =
            std::iter::once((&tenants as _, Type::UUID_ARRAY)).chain(of_rows).collect();
        self.writer.query_typed(&sql, &arguments).await.map_err(store_error)?;
        Ok(())
    }
}

fn merged(before: &AppointmentChange, change: AppointmentChange) -> AppointmentChange {
    AppointmentChange {
        at: None,
        event_id: before.event_id,
        moved_at: change.moved_at.or(before.moved_at),
        fee_waived: before.fee_waived || change.fee_waived,
        ..change
    }
}

fn store_error(error: tokio_postgres::Error) -> StoreError {
    away(described(&error))
}
