//! Revenue against a recount of all bookings, however their days have become parts of months and years meanwhile.

use std::collections::{BTreeMap, HashMap};

use codeccloud_actors::event::Event;
use codeccloud_actors::ids::{BookingId, TenantId};
use codeccloud_actors::money::Currency;
use codeccloud_actors::projections::revenue::{Figures, Of, Revenue, Tally};
use codeccloud_actors::sagas::booking::{BookingCommand, BookingEvent, BookingScheduled};
use codeccloud_actors::testing::{ANNA, HAIRCUT, salon, slot};
use codeccloud_actors::time::DAY_MS;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::{Cut, folded};
use crate::house::{House, hour, settings, status};

const KEPT_DAYS: i64 = 400;

struct Counted {
    scheduled: BookingScheduled,
    ended: Option<fn(&mut Figures, Tally)>,
}

#[derive(Default)]
struct Recount {
    bookings: HashMap<BookingId, Counted>,
    days_since: Date,
    missed: u64,
}

impl Recount {
    fn see(&mut self, id: BookingId, event: &BookingEvent, kept_since: Date) {
        self.days_since = self.days_since.max(kept_since);
        if let BookingEvent::Scheduled(scheduled) = event {
            self.bookings.insert(id, Counted { scheduled: scheduled.clone(), ended: None });
            return;
        }
        let counted = self.bookings.get_mut(&id).expect("its first event schedules it");
        let let_go = counted.scheduled.day < self.days_since;
        let mut ends = |add: fn(&mut Figures, Tally)| counted.ended = (!let_go).then_some(add);
        match event {
            BookingEvent::Scheduled(_) | BookingEvent::Confirmed(_) | BookingEvent::CheckedIn(_) => return,
            BookingEvent::Rescheduled(moved) if !let_go => counted.scheduled.day = moved.day,
            BookingEvent::Rescheduled(_) => {}
            BookingEvent::Completed(_) => ends(|figures, tally| figures.completed += tally),
            BookingEvent::NoShow(_) => ends(|figures, tally| figures.no_show += tally),
            BookingEvent::Cancelled(_) => ends(|figures, tally| figures.cancelled += tally),
        }
        self.missed += u64::from(let_go);
    }

    fn figures<K: Ord>(&self, key: impl Fn(&BookingScheduled, Of) -> Option<K>) -> BTreeMap<K, Figures> {
        let mut figures: BTreeMap<K, Figures> = BTreeMap::new();
        for Counted { scheduled, ended } in self.bookings.values() {
            for of in [Of::All, Of::Staff(scheduled.staff_id), Of::Service(scheduled.service_id)] {
                let Some(key) = key(scheduled, of) else { continue };
                let (sum, tally) = (figures.entry(key).or_default(), Tally { count: 1, cents: scheduled.price.amount });
                sum.booked += tally;
                if let Some(add) = ended {
                    add(sum, tally);
                }
            }
        }
        figures
    }
}

pub fn is_the_recount(house: &House, model: &Revenue) {
    for (tenant_id, recount) in recounts(house) {
        let by_day: BTreeMap<_, _> =
            model.days(tenant_id, Date::MIN, Date::MAX).map(|row| ((row.date, row.of), row.figures)).collect();
        let kept = |booking: &BookingScheduled, of| (booking.day >= recount.days_since).then_some((booking.day, of));
        assert_eq!(by_day, recount.figures(kept));
        let all = recount.figures(|_, of| (of == Of::All).then_some(())).remove(&()).unwrap_or_default();
        assert_eq!(model.total(tenant_id, Currency::Chf), all, "with what has become months and years");
        assert_eq!(model.missed(tenant_id), recount.missed);
    }
}

fn recounts(house: &House) -> HashMap<TenantId, Recount> {
    let mut recounts: HashMap<TenantId, Recount> = HashMap::new();
    for recorded in house.store.history() {
        let Ok(Event::Booking(event)) = &recorded.event else { continue };
        let kept_since = recorded.occurred_at.plus_millis(-KEPT_DAYS * DAY_MS).date_in(&TimeZone::UTC);
        let recount = recounts.entry(recorded.stream.tenant_id).or_default();
        recount.see(BookingId(recorded.stream.aggregate_id), event, kept_since);
    }
    recounts
}

#[actix::test]
async fn a_booking_is_counted_on_its_local_day_and_leaves_it_when_it_is_moved() {
    let house = House::new(settings());
    let (tenant_id, day) = (salon().tenant_id, |model: &Revenue, day| -> Vec<(Of, Figures)> {
        model.days(salon().tenant_id, day, day.tomorrow().unwrap()).map(|row| (row.of, row.figures)).collect()
    });
    // In Zurich it is the next day already.
    let (id, create) = house.create(slot("2027-03-04T23:30:00Z", 60));
    house.runtime.execute(create).await.unwrap();
    let one = Tally { count: 1, cents: 8_000 };
    let booked = Figures { booked: one, ..Figures::default() };
    let everywhere = |figures| [Of::All, Of::Staff(ANNA), Of::Service(Some(HAIRCUT))].map(|of| (of, figures));
    let model = folded::<Revenue>(&house, &[Cut::WHOLE]);
    assert_eq!(day(&model, date(2027, 3, 4)), []);
    assert_eq!(day(&model, date(2027, 3, 5)), everywhere(booked));

    let moved = house.change(id, BookingCommand::Reschedule { booking_id: id, slot: hour(5) }).await;
    assert_eq!(status(&moved), 200);
    house.change(id, BookingCommand::CheckIn).await.unwrap();
    house.change(id, BookingCommand::Complete { booking_id: id }).await.unwrap();
    let model = folded::<Revenue>(&house, &[Cut::WHOLE]);
    assert_eq!(day(&model, date(2027, 3, 5)), []);
    assert_eq!(day(&model, date(2027, 3, 2)), everywhere(Figures { completed: one, ..booked }));
    assert_eq!(model.open_count(), 0, "nothing more can happen to it");
    let months: Vec<_> = model.months(tenant_id, date(2027, 3, 1), date(2027, 4, 1)).map(|row| row.date).collect();
    assert_eq!(months, [date(2027, 3, 1); 3]);
    is_the_recount(&house, &model);
}
