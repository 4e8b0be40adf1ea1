use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::{BookingId, CustomerId, ServiceId, StaffId};
use codeccloud_actors::money::Money;
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::time::{Slot, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::booking;
use crate::http::Door;
use crate::http::authorise::forbidden;
use crate::http::customers::check_profile;
use crate::http::execute::{self, Call};
use crate::http::extractors::Body;
use crate::http::problem::Problem;
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::Personal;
use crate::vault::{CustomerProfile, NoteKind};

const NOTES_LENGTH_MAX: usize = 2_000;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateBooking {
    pub service_id: ServiceId,
    pub staff_id: StaffId,
    /// Not past, and at most ten years ahead; less where the salon has a horizon of its own.
    pub slot_start: Timestamp,
    pub slot_end: Timestamp,
    pub price: Money,
    pub customer: BookingCustomer,
    /// At most 2000 characters.
    pub notes: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingCustomer {
    pub id: CustomerId,
    pub email: String,
    pub phone: Option<String>,
    pub first_name: String,
    pub last_name: String,
}

impl Validate for CreateBooking {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.slot("slotEnd", self.slot_start, self.slot_end);
        errors.price("price", self.price);
        let BookingCustomer { email, phone, first_name, last_name, .. } = &self.customer;
        check_profile(errors, "customer.", Some(email), phone.as_deref(), Some(first_name), Some(last_name));
        errors.length("notes", self.notes.as_deref().unwrap_or_default(), NOTES_LENGTH_MAX);
    }
}

pub async fn create(door: Data<Door>, call: Call, body: Body<CreateBooking>) -> Result<HttpResponse, Problem> {
    let CreateBooking { service_id, staff_id, slot_start, slot_end, price, customer, notes } = body.value;
    if call.session.caller.own_customer().is_some_and(|own| own != customer.id) {
        return Err(forbidden("customers book for themselves only"));
    }
    let booking_id = BookingId(door.ids.uuid());
    let slot = Slot::new(slot_start, slot_end).expect("validated");
    let customer_id = customer.id;
    let command = BookingCommand::Create { booking_id, staff_id, service_id, customer_id, slot, price };
    let personal = Personal {
        customer: Some((customer_id, customer.into())),
        note: booking::note(booking_id, NoteKind::Note, notes),
    };
    let answer = booking::changed(booking_id, StatusCode::CREATED);
    let command = Command::Booking(booking_id, command);
    let answered = call.execute(&door, body.request_hash, command, personal, answer).await?;
    let location = location(&answered.answer.body);
    let mut response = execute::respond(answered);
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Read from the answer: a replay names the booking of the first attempt.
fn location(answer: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Created {
        booking: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        id: BookingId,
    }
    let created: Created = serde_json::from_slice(answer).ok()?;
    HeaderValue::from_str(&format!("/v1/bookings/{}", created.booking.id)).ok()
}

impl From<BookingCustomer> for CustomerProfile {
    fn from(customer: BookingCustomer) -> CustomerProfile {
        CustomerProfile {
            email: customer.email,
            phone: customer.phone.filter(|phone| !phone.is_empty()),
            first_name: customer.first_name,
            last_name: customer.last_name,
        }
    }
}
