//! What the store holds, against what front-ends were told, and against what the server shows.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use codeccloud::postgres::embedded::url_of;
use codeccloud::postgres::{
    ConnectionPool, DatabaseRole, FeedSettings, FeedWaker, PostgresFeed, PostgresProjectionStore,
};
use codeccloud_actors::ids::{BookingId, StaffId};
use codeccloud_actors::ports::{Feed, ProjectionStore};
use codeccloud_actors::projections::appointment_summaries::{AppointmentSummaries, Summary};
use codeccloud_actors::projections::availability::Availability;
use codeccloud_actors::projections::inventory::Inventory;
use codeccloud_actors::projections::loyalty_balances::LoyaltyBalances;
use codeccloud_actors::projections::revenue::Revenue;
use codeccloud_actors::projections::staff_utilisation::StaffUtilisationDays;
use codeccloud_actors::projections::{Fold, Projection};
use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::{Slot, Timestamp};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::front_ends::{Acknowledged, FrontEnds};
use crate::support::{Salon, Server, connect, database_of};

/// All six, folded here from the first event on.
#[derive(Default)]
struct Folds {
    availability: Fold<Availability>,
    summaries: Fold<AppointmentSummaries>,
    utilisation: Fold<StaffUtilisationDays>,
    loyalty: Fold<LoyaltyBalances>,
    inventory: Fold<Inventory>,
    revenue: Fold<Revenue>,
}

pub async fn check(data_dir: &Path, server: &Server, front_ends: &FrontEnds) {
    let url = url_of(data_dir).unwrap();
    let client = connect(&url).await;
    client.batch_execute("SET ROLE codeccloud_reader").await.unwrap();
    streams_are_whole(&client).await;
    let bookings = front_ends.bookings();
    let changes: HashMap<Uuid, u32> = bookings.iter().map(|(id, known)| (*id, known.changes)).collect();
    assert_eq!(
        events_by_booking(&client).await,
        changes,
        "each acknowledged change is one event, and there is no other"
    );

    let folds = Folds::of(&url).await;
    acknowledged_as_they_stand(&bookings, &folds);
    calendars_agree_with_bookings(&folds);
    assert_eq!(listed(server, front_ends.salon()).await, expected_list(&folds), "what the server shows");
    let store = PostgresProjectionStore::new(pool(&url, DatabaseRole::Projector));
    is_saved(&store, &folds.availability).await;
    is_saved(&store, &folds.summaries).await;
    is_saved(&store, &folds.utilisation).await;
    is_saved(&store, &folds.loyalty).await;
    is_saved(&store, &folds.inventory).await;
    is_saved(&store, &folds.revenue).await;
}

async fn streams_are_whole(client: &Client) {
    let gaps = "SELECT count(*) FROM (SELECT tenant_id, aggregate_type, aggregate_id, count(*) AS events, \
                    count(DISTINCT version) AS versions, min(version) AS first, max(version) AS last \
                    FROM event_store GROUP BY 1, 2, 3) s \
                FULL JOIN stream_heads h USING (tenant_id, aggregate_type, aggregate_id) \
                WHERE events IS DISTINCT FROM versions OR first IS DISTINCT FROM 1 OR events IS DISTINCT FROM last \
                    OR h.version IS DISTINCT FROM last";
    assert_eq!(client.query_one(gaps, &[]).await.unwrap().get::<_, i64>(0), 0, "streams with a gap, or another head");
}

async fn events_by_booking(client: &Client) -> HashMap<Uuid, u32> {
    let sql = "SELECT aggregate_id, count(*) FROM event_store WHERE aggregate_type = 'booking' GROUP BY 1";
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), u32::try_from(row.get::<_, i64>(1)).unwrap())).collect()
}

impl Folds {
    async fn of(url: &str) -> Folds {
        let settings = FeedSettings {
            poll: Duration::from_millis(20),
            coalesce: Duration::ZERO,
            page_events: 1_000,
            horizon_warn: Duration::from_secs(3_600),
        };
        let feed = PostgresFeed::new(pool(url, DatabaseRole::Reader), FeedWaker::default(), settings);
        let mut folds = Folds::default();
        loop {
            let page = feed.read(&folds.summaries.cursor).await.unwrap();
            folds.availability.apply(&page.events, page.cursor);
            folds.summaries.apply(&page.events, page.cursor);
            folds.utilisation.apply(&page.events, page.cursor);
            folds.loyalty.apply(&page.events, page.cursor);
            folds.inventory.apply(&page.events, page.cursor);
            folds.revenue.apply(&page.events, page.cursor);
            if page.caught_up {
                assert!(folds.summaries.stopped.is_empty() && folds.availability.stopped.is_empty());
                return folds;
            }
        }
    }

    fn bookings(&self) -> impl Iterator<Item = (BookingId, &Summary)> {
        self.summaries.model.bookings().map(|(_, id, summary)| (id, summary))
    }
}

fn pool(url: &str, role: DatabaseRole) -> ConnectionPool {
    database_of(url).pool(role, 1, Duration::from_secs(5))
}

/// Where the newest answer is the newest change, the booking is as that answer has it.
fn acknowledged_as_they_stand(bookings: &HashMap<Uuid, Acknowledged>, folds: &Folds) {
    for (id, summary) in folds.bookings() {
        let Some((version, told)) = &bookings[&id.0].newest else { continue };
        assert!(summary.version.0 >= *version, "booking {id} has lost a change");
        if summary.version.0 == *version {
            let told: [&Value; 4] = ["id", "staffId", "slotStart", "status"].map(|field| &told[field]);
            assert_eq!(told.map(Value::to_string), row(id, summary).map(|value| value.to_string()));
        }
    }
}

/// A calendar holds the slots of the bookings that still need them, no other, and no two at a time.
fn calendars_agree_with_bookings(folds: &Folds) {
    let mut held: BTreeSet<(StaffId, Timestamp, Timestamp, BookingId)> = BTreeSet::new();
    for (_, staff_id, calendar) in folds.availability.model.calendars() {
        let slots: Vec<Slot> = calendar.reservations().iter().map(|reservation| reservation.slot).collect();
        assert!(slots.windows(2).all(|pair| pair[0].end <= pair[1].start), "{staff_id} is booked twice at a time");
        let entry = |at: usize| (staff_id, slots[at].start, slots[at].end, calendar.reservations()[at].booking_id);
        held.extend((0..slots.len()).map(entry));
    }
    let needed = folds.bookings().filter(|(_, summary)| needs_its_slot(summary.details.status));
    let needed =
        needed.map(|(id, Summary { details, .. })| (details.staff_id, details.slot.start, details.slot.end, id));
    assert_eq!(held, needed.collect(), "calendars and bookings");
    let completed = folds.bookings().filter(|(_, summary)| summary.details.status == BookingStatus::Completed);
    assert_eq!(
        folds.loyalty.events_applied,
        completed.count() as u64,
        "points are earned once for each completed booking"
    );
}

fn needs_its_slot(status: BookingStatus) -> bool {
    match status {
        BookingStatus::Pending | BookingStatus::Scheduled | BookingStatus::Confirmed | BookingStatus::CheckedIn => true,
        BookingStatus::Completed | BookingStatus::NoShow | BookingStatus::Cancelled => false,
    }
}

/// All bookings that the search gives, page by page.
pub async fn listed(server: &Server, salon: &Salon) -> BTreeSet<String> {
    let (mut rows, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = server.get(salon, &format!("/v1/bookings/search?limit=200{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        for booking in page["data"].as_array().unwrap() {
            let row = ["id", "staffId", "slotStart", "status"].map(|field| &booking[field]);
            assert!(rows.insert(json!(row).to_string()), "{booking} is listed twice");
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn expected_list(folds: &Folds) -> BTreeSet<String> {
    folds.bookings().map(|(id, summary)| json!(row(id, summary)).to_string()).collect()
}

/// As the API shows it: a booking that was moved and is scheduled has a word of its own.
fn row(id: BookingId, Summary { details, .. }: &Summary) -> [Value; 4] {
    let moved = details.moved && details.status == BookingStatus::Scheduled;
    let status = if moved { json!("rescheduled") } else { json!(details.status) };
    [json!(id), json!(details.staff_id), json!(details.slot.start), status]
}

/// The server saves what it has in memory soon after the last event: that is exactly what was folded here.
async fn is_saved<P: Projection + PartialEq + Debug>(store: &PostgresProjectionStore, folded: &Fold<P>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let wanted = folded.events_applied;
    // Nothing is saved before there is something.
    if wanted == 0 {
        return;
    }
    loop {
        let saved = store.load(P::NAME).await.unwrap().map(|saved| Fold::<P>::decode(&saved).unwrap());
        if let Some(saved) = &saved
            && saved.events_applied == wanted
        {
            assert!(saved.model == folded.model, "{}: {:#?}\nis not\n{:#?}", P::NAME, saved.model, folded.model);
            return;
        }
        let applied = saved.map(|saved| saved.events_applied);
        assert!(Instant::now() < deadline, "{} has applied {applied:?} events, not {wanted}", P::NAME);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
