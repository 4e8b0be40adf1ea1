use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::web::Data;
use codeccloud_actors::ids::{ServiceId, StaffId};
use codeccloud_actors::time::{DAY_MS, Slot, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Door;
use crate::http::extractors::Query;
use crate::http::problem::Problem;
use crate::http::session::Session;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::{self, SlotOffer};

const DAYS_MAX: i64 = 92;
const GRANULARITY_MINUTES_DEFAULT: u32 = 15;
const GRANULARITY_MINUTES_MAX: u32 = 480;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityQuery {
    pub service_id: ServiceId,
    /// Absent: everyone who performs the service.
    pub staff_id: Option<StaffId>,
    pub from: Timestamp,
    /// At most 92 days after `from`; less where that would be more than 50000 slots.
    pub to: Timestamp,
    /// 1 to 480; absent: 15.
    #[schemars(range(min = 1, max = GRANULARITY_MINUTES_MAX))]
    pub granularity_minutes: Option<u32>,
}

/// The document's view of the answer, which [`write`] writes.
#[derive(Serialize, JsonSchema)]
pub struct Availability {
    pub slots: Vec<AvailableSlot>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailableSlot {
    pub slot_start: Timestamp,
    pub slot_end: Timestamp,
    pub service_id: ServiceId,
    pub staff_id: StaffId,
}

impl AvailabilityQuery {
    fn granularity(&self) -> u32 {
        self.granularity_minutes.unwrap_or(GRANULARITY_MINUTES_DEFAULT)
    }
}

impl Validate for AvailabilityQuery {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.slot("to", self.from, self.to);
        let short = self.to <= self.from.plus_millis(DAYS_MAX * DAY_MS);
        errors.require(short, "to", format!("must lie at most {DAYS_MAX} days after `from`"));
        errors.within("granularityMinutes", self.granularity(), 1..=GRANULARITY_MINUTES_MAX);
    }
}

pub async fn availability(
    door: Data<Door>,
    session: Session,
    Query(query): Query<AvailabilityQuery>,
) -> Result<HttpResponse, Problem> {
    let query = ports::AvailabilityQuery {
        service_id: query.service_id,
        staff_id: query.staff_id,
        range: Slot::new(query.from, query.to).expect("validated"),
        granularity_minutes: query.granularity(),
    };
    let slots = door.queries.availability(session.scope(), query).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(write(&slots)))
}

/// [`Availability`] as JSON. By hand, because this is the most frequent answer and one of the longest: neighbouring
/// slots share their day and their person, and nothing is allocated per slot.
fn write(slots: &[SlotOffer]) -> String {
    const SLOT_LENGTH: usize = 190;
    let mut json = String::with_capacity(16 + slots.len() * SLOT_LENGTH);
    let mut tail = Tail::default();
    let (mut start, mut end) = (TimeWriter::default(), TimeWriter::default());
    json.push_str("{\"slots\":[");
    for (at, offer) in slots.iter().enumerate() {
        json.push_str(if at == 0 { "{\"slotStart\":\"" } else { ",{\"slotStart\":\"" });
        start.write(&mut json, offer.slot.start);
        json.push_str("\",\"slotEnd\":\"");
        end.write(&mut json, offer.slot.end);
        json.push_str(tail.of(offer.service_id, offer.staff_id));
    }
    json.push_str("]}");
    json
}

/// What stands behind the times of a slot.
#[derive(Default)]
struct Tail {
    ids: Option<(ServiceId, StaffId)>,
    text: String,
}

impl Tail {
    fn of(&mut self, service_id: ServiceId, staff_id: StaffId) -> &str {
        if self.ids != Some((service_id, staff_id)) {
            self.ids = Some((service_id, staff_id));
            self.text = format!("\",\"serviceId\":\"{service_id}\",\"staffId\":\"{staff_id}\"}}");
        }
        &self.text
    }
}

/// Writes instants as `Timestamp` does, keeping the text of the hour.
#[derive(Default)]
struct TimeWriter {
    hour: Option<i64>,
    /// `2030-01-01T09:`
    prefix: String,
}

impl TimeWriter {
    fn write(&mut self, json: &mut String, instant: Timestamp) {
        const HOUR_MS: i64 = 3_600_000;
        let (hour, millis) = (instant.as_millis().div_euclid(HOUR_MS), instant.as_millis().rem_euclid(HOUR_MS));
        if self.hour != Some(hour) {
            self.hour = Some(hour);
            self.prefix.clear();
            write!(self.prefix, "{instant}").expect("a String takes any text");
            self.prefix.truncate("2030-01-01T09:".len());
        }
        let (minute, rest) = (millis / 60_000, millis % 60_000);
        json.push_str(&self.prefix);
        json.push(digit(minute / 10));
        json.push(digit(minute % 10));
        if rest == 0 {
            json.push_str(":00.000Z");
        } else {
            write!(json, ":{:02}.{:03}Z", rest / 1_000, rest % 1_000).expect("a String takes any text");
        }
    }
}

fn digit(value: i64) -> char {
    char::from(b'0' + u8::try_from(value).expect("a decimal digit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn what_is_written_by_hand_is_what_serde_writes(
            offers in proptest::collection::vec((-3_000_000_i64..9_000_000, 1_i64..90_000_000, 0_u128..2, 0_u128..2), 0..12),
        ) {
            let offers: Vec<SlotOffer> = offers.into_iter().map(|(start, length, service, staff)| SlotOffer {
                slot: Slot { start: Timestamp::from_millis(start), end: Timestamp::from_millis(start + length) },
                service_id: ServiceId(Uuid::from_u128(service)),
                staff_id: StaffId(Uuid::from_u128(staff)),
            }).collect();
            let slots = offers.iter().map(|offer| AvailableSlot {
                slot_start: offer.slot.start,
                slot_end: offer.slot.end,
                service_id: offer.service_id,
                staff_id: offer.staff_id,
            });
            let by_serde = serde_json::to_string(&Availability { slots: slots.collect() }).expect("plain data");
            prop_assert_eq!(write(&offers), by_serde);
        }
    }
}
