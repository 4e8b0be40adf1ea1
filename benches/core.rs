//! What the core itself costs, without a database: deciding, folding, listing, reading an event.

use criterion::{Criterion, criterion_group, criterion_main};

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::staff_utilisation::{SlotQuery, StaffCommand, StaffUtilisation, bookable_slots};
use codeccloud_actors::event::{Event, EventBody};
use codeccloud_actors::ids::AggregateType;
use codeccloud_actors::testing::{ANNA, HAIRCUT, booking_id, context, salon, slot, time};
use codeccloud_actors::time::{DAY_MS, Slot};

/// Bookings that a busy person has ahead: ten a day for a hundred days.
const DAYS: i64 = 100;
const PER_DAY: i64 = 10;

fn reserve(number: i64) -> StaffCommand {
    let first = slot("2027-03-01T07:00:00+01:00", 60);
    let start = first.start.plus_millis(number / PER_DAY * DAY_MS).plus_minutes(number % PER_DAY * 60);
    StaffCommand::Reserve {
        staff_id: ANNA,
        booking_id: booking_id(u128::try_from(number).expect("positive")),
        service_id: HAIRCUT,
        slot: Slot::new(start, start.plus_minutes(60)).expect("an hour"),
    }
}

fn core(criterion: &mut Criterion) {
    let (context, now) = (context(salon()), time("2027-02-01T12:00:00+01:00"));
    let mut busy = StaffUtilisation::default();
    for number in 0..DAYS * PER_DAY {
        let decision = busy.decide(&reserve(number), &context, now).expect("free");
        decision.events.iter().for_each(|event| busy.evolve(event, now));
    }
    let next = reserve(DAYS * PER_DAY);
    criterion.bench_function("decide a reservation, 1,000 ahead", |bencher| {
        bencher.iter(|| busy.decide(&next, &context, now));
    });
    let decision = busy.decide(&next, &context, now).expect("free");
    criterion.bench_function("clone and fold it", |bencher| {
        bencher.iter(|| {
            let mut state = busy.clone();
            decision.events.iter().for_each(|event| state.evolve(event, now));
            state
        });
    });
    let event = &decision.events[0];
    let payload = event.payload();
    criterion.bench_function("read its event", |bencher| {
        bencher.iter(|| {
            Event::read(AggregateType::StaffUtilisation, event.event_type(), event.schema_version(), &payload)
        });
    });
    let service = &context.reference.services[&HAIRCUT];
    let member = &context.reference.staff[&ANNA];
    let day = time("2027-04-07T00:00:00+02:00");
    let span = Slot::new(day, day.plus_millis(DAY_MS)).expect("a day");
    let query = SlotQuery { span, granularity_minutes: 15, now };
    criterion.bench_function("list a day's free slots", |bencher| {
        bencher.iter(|| bookable_slots(&busy.calendar, &context.reference, member, service, &query));
    });
}

criterion_group! { name = benches; config = Criterion::default().sample_size(30); targets = core }
criterion_main!(benches);
