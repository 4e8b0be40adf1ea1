//! Bookings too long past for memory: who asks for the own ones doesn't read everybody's.

use codeccloud::event_sourced::PastBookings;
use codeccloud::ports::{BookingFilter, BookingOrder};
use codeccloud::postgres::{DatabaseRole, PostgresPastBookings};
use codeccloud_actors::ids::{CustomerId, TenantId};
use serde_json::Value;
use uuid::Uuid;

use crate::feed_running::{explain_every_statement, plans};
use crate::support::Database;

const SALON: TenantId = TenantId(Uuid::from_u128(1));

/// Twenty thousand bookings of a thousand customers, over years.
const HISTORY: &str = "INSERT INTO saga_instances SELECT '00000000-0000-0000-0000-000000000001', 'booking', \
    gen_random_uuid(), 1, 'scheduled', jsonb_build_object('staffId', gen_random_uuid(), 'serviceId', null, \
        'customerId', lpad(to_hex(n % 1000), 32, '0')::uuid, \
        'slotStart', to_char('2020-01-01'::timestamp + n * interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
        'slotEnd', to_char('2020-01-01'::timestamp + (n + 1) * interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), \
        'status', 'scheduled', 'price', jsonb_build_object('currency', 'CHF', 'amount', 8900), 'moved', false, \
        'reasonRecorded', false, 'createdAt', '2020-01-01T00:00:00.000Z', 'updatedAt', '2020-01-01T00:00:00.000Z'), now() \
    FROM generate_series(1, 20000) n";

#[tokio::test]
async fn a_customers_past_is_found_without_reading_everybodys() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    explain_every_statement(&superuser).await;
    let past = PostgresPastBookings::new(database.pool(DatabaseRole::Reader));
    superuser.batch_execute(HISTORY).await.unwrap();
    for statistics in ["", "ANALYZE saga_instances"] {
        superuser.batch_execute(statistics).await.unwrap();
        for order in [BookingOrder::EarliestFirst, BookingOrder::LatestFirst] {
            let before = database.log().len();
            let filter = BookingFilter {
                customer_id: Some(CustomerId(Uuid::from_u128(7))),
                order,
                limit: 10,
                ..BookingFilter::default()
            };
            let found = past.list(SALON, filter).await.unwrap();
            assert_eq!(found.len(), 10);
            let starts: Vec<_> = found.iter().map(|booking| booking.details.slot.start).collect();
            assert!(if order == BookingOrder::EarliestFirst {
                starts.is_sorted()
            } else {
                starts.is_sorted_by(|a, b| a > b)
            });
            let log = database.log();
            let plan = plans(&log[before..]).into_iter().find(|plan| plan.to_string().contains("FROM saga_instances"));
            let plan: Value = plan.unwrap();
            let buffers = plan["Plan"]["Shared Hit Blocks"].as_u64().unwrap()
                + plan["Plan"]["Shared Read Blocks"].as_u64().unwrap();
            assert!(buffers < 40, "{buffers} pages for 10 bookings: {plan:#}");
        }
    }
}
