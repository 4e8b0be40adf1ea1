use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use codeccloud_actors::command::Command;
use codeccloud_actors::ids::BookingId;
use codeccloud_actors::sagas::booking::BookingCommand;
use codeccloud_actors::time::{Slot, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::booking;
use crate::http::Door;
use crate::http::execute::{self, Call};
use crate::http::extractors::{Body, EmptyBody};
use crate::http::problem::{Problem, Slug};
use crate::http::validate::{FieldErrors, Validate};
use crate::ports::Personal;
use crate::vault::NoteKind;

const REASON_LENGTH_MAX: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescheduleBooking {
    /// The same as in the path.
    pub booking_id: BookingId,
    /// Not past, and at most ten years ahead; less where the salon has a horizon of its own.
    pub slot_start: Timestamp,
    pub slot_end: Timestamp,
    /// At most 500 characters.
    pub reason: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelBooking {
    /// The same as in the path.
    pub booking_id: BookingId,
    /// At most 500 characters.
    pub reason: Option<String>,
    #[serde(default)]
    pub waive_fee: bool,
}

impl Validate for RescheduleBooking {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.slot("slotEnd", self.slot_start, self.slot_end);
        errors.length("reason", self.reason.as_deref().unwrap_or_default(), REASON_LENGTH_MAX);
    }
}

impl Validate for CancelBooking {
    fn validate(&self, errors: &mut FieldErrors) {
        errors.length("reason", self.reason.as_deref().unwrap_or_default(), REASON_LENGTH_MAX);
    }
}

/// The contract's booking doesn't show the reason: it is kept in the vault, with the customer's other data.
pub async fn reschedule(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: Body<RescheduleBooking>,
) -> Result<HttpResponse, Problem> {
    let booking_id = same_booking(*path, body.value.booking_id)?;
    let slot = Slot::new(body.value.slot_start, body.value.slot_end).expect("validated");
    let command = BookingCommand::Reschedule { booking_id, slot };
    let note = booking::note(booking_id, NoteKind::RescheduleReason, body.value.reason);
    let personal = Personal { note, ..Personal::default() };
    change(&door, call, body.request_hash, booking_id, command, personal).await
}

pub async fn cancel(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: Body<CancelBooking>,
) -> Result<HttpResponse, Problem> {
    let booking_id = same_booking(*path, body.value.booking_id)?;
    let note = booking::note(booking_id, NoteKind::CancellationReason, body.value.reason);
    let (waive_fee, reason_recorded) = (body.value.waive_fee, note.is_some());
    let command = BookingCommand::Cancel { booking_id, waive_fee, reason_recorded };
    let personal = Personal { note, ..Personal::default() };
    change(&door, call, body.request_hash, booking_id, command, personal).await
}

pub async fn confirm(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    change(&door, call, body.request_hash, *path, BookingCommand::Confirm, Personal::default()).await
}

pub async fn check_in(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    change(&door, call, body.request_hash, *path, BookingCommand::CheckIn, Personal::default()).await
}

pub async fn complete(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    let command = BookingCommand::Complete { booking_id: *path };
    change(&door, call, body.request_hash, *path, command, Personal::default()).await
}

pub async fn mark_no_show(
    door: Data<Door>,
    call: Call,
    path: Path<BookingId>,
    body: EmptyBody,
) -> Result<HttpResponse, Problem> {
    let command = BookingCommand::MarkNoShow { booking_id: *path };
    change(&door, call, body.request_hash, *path, command, Personal::default()).await
}

async fn change(
    door: &Door,
    call: Call,
    request_hash: [u8; 32],
    id: BookingId,
    command: BookingCommand,
    personal: Personal,
) -> Result<HttpResponse, Problem> {
    let answer = booking::changed(id, StatusCode::OK);
    let answered = call.execute(door, request_hash, Command::Booking(id, command), personal, answer).await?;
    Ok(execute::respond(answered))
}

fn same_booking(in_path: BookingId, in_body: BookingId) -> Result<BookingId, Problem> {
    if in_path == in_body {
        return Ok(in_path);
    }
    Err(Problem::new(Slug::BadRequest, "bookingId differs from the booking in the path"))
}
