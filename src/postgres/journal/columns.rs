//! The arguments of `app_private.append`: one array per column.

use std::collections::HashMap;

use codeccloud_actors::ids::StreamId;
use codeccloud_actors::ports::{Append, Head, SealedRow};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::batch::Batch;
use crate::postgres::types::{JsonText, PgTime};

pub(super) const STATEMENT: &str = "SELECT transaction_id::text, recorded_at FROM app_private.append(\
    $1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28,$29,$30,\
    $31,$32,$33,$34,$35,$36,$37,$38,$39,$40,$41,$42,$43,$44,$45,$46,$47)";

#[derive(Default)]
pub(super) struct Columns<'a> {
    tenants: Vec<Uuid>,
    stream_tenant: Vec<Uuid>,
    stream_type: Vec<&'static str>,
    stream_id: Vec<Uuid>,
    stream_expected: Vec<i32>,
    stream_expected_event: Vec<Option<Uuid>>,
    stream_version: Vec<i32>,
    stream_event: Vec<Option<Uuid>>,
    check_tenant: Vec<Uuid>,
    check_type: Vec<&'static str>,
    check_id: Vec<Uuid>,
    check_expected: Vec<i32>,
    check_expected_event: Vec<Option<Uuid>>,
    event_stream: Vec<i32>,
    event_id: Vec<Uuid>,
    event_type: Vec<&'static str>,
    event_version: Vec<i32>,
    event_schema: Vec<i16>,
    event_payload: Vec<JsonText<'a>>,
    event_occurred: Vec<PgTime>,
    event_metadata: Vec<i32>,
    metadata: Vec<JsonText<'a>>,
    key_tenant: Vec<Uuid>,
    key: Vec<&'a str>,
    key_command: Vec<Uuid>,
    key_hash: Vec<&'a [u8]>,
    key_status: Vec<i16>,
    key_answer: Vec<&'a [u8]>,
    key_sealed_for: Vec<Option<Uuid>>,
    saga_tenant: Vec<Uuid>,
    saga_type: Vec<&'static str>,
    saga_id: Vec<Uuid>,
    saga_version: Vec<i32>,
    saga_status: Vec<&'static str>,
    saga_state: Vec<JsonText<'a>>,
    customer_tenant: Vec<Uuid>,
    customer_id: Vec<Uuid>,
    customer_revision: Vec<i32>,
    customer_key: Vec<&'a [u8]>,
    customer_master_key_id: Vec<&'a str>,
    customer_profile: Vec<&'a [u8]>,
    customer_email_lookup: Vec<&'a [u8]>,
    note_tenant: Vec<Uuid>,
    note_customer: Vec<Uuid>,
    note_booking: Vec<Uuid>,
    note_kind: Vec<&'static str>,
    note_ciphertext: Vec<&'a [u8]>,
    /// Which append each idempotency key and each customer belongs to, for the function's complaints.
    pub key_owner: Vec<usize>,
    pub customer_owner: Vec<usize>,
}

impl<'a> Columns<'a> {
    pub fn of(appends: &[&'a Append], batch: &Batch) -> Columns<'a> {
        let mut columns = Columns::default();
        let mut numbers = HashMap::with_capacity(batch.streams.len());
        for (index, moved) in batch.streams.iter().enumerate() {
            numbers.insert(moved.stream, number(index));
            columns.stream_tenant.push(moved.stream.tenant_id.0);
            columns.stream_type.push(moved.stream.aggregate_type.as_str());
            columns.stream_id.push(moved.stream.aggregate_id);
            columns.stream_expected.push(int(moved.expected.version.0));
            columns.stream_expected_event.push(event(moved.expected));
            columns.stream_version.push(int(moved.head.version.0));
            columns.stream_event.push(event(moved.head));
        }
        for (stream, expected) in &batch.checks {
            columns.check_tenant.push(stream.tenant_id.0);
            columns.check_type.push(stream.aggregate_type.as_str());
            columns.check_id.push(stream.aggregate_id);
            columns.check_expected.push(int(expected.version.0));
            columns.check_expected_event.push(event(*expected));
        }
        for &index in &batch.taken {
            columns.add(index, appends[index], &numbers);
        }
        columns.tenants.sort_unstable();
        columns.tenants.dedup();
        columns
    }

    fn add(&mut self, index: usize, append: &'a Append, numbers: &HashMap<StreamId, i32>) {
        let tenant = append.tenant_id.0;
        self.tenants.push(tenant);
        self.metadata.push(JsonText(&append.metadata));
        let metadata = number(self.metadata.len() - 1);
        for part in &append.streams {
            for (offset, event) in part.events.iter().enumerate() {
                self.event_stream.push(numbers[&part.stream]);
                self.event_id.push(event.event_id.0);
                self.event_type.push(event.event_type);
                self.event_version.push(int(part.expected.version.plus(offset + 1).0));
                self.event_schema.push(small(event.schema_version));
                self.event_payload.push(JsonText(&event.payload));
                self.event_occurred.push(PgTime(event.occurred_at));
                self.event_metadata.push(metadata);
            }
        }
        if let Some(record) = &append.idempotency {
            self.key_owner.push(index);
            self.key_tenant.push(tenant);
            self.key.push(&record.key);
            self.key_command.push(append.command_id.0);
            self.key_hash.push(&record.request_hash);
            self.key_status.push(small(record.status));
            self.key_answer.push(&record.answer);
            self.key_sealed_for.push(record.sealed_for.map(|customer| customer.0));
        }
        self.add_sagas(append);
        self.add_sealed(index, append);
    }

    fn add_sagas(&mut self, append: &'a Append) {
        for saga in &append.sagas {
            // A saga that moves twice in a batch is upserted once: the same row can't be touched twice in a statement.
            let before = self
                .saga_id
                .iter()
                .rposition(|id| *id == saga.saga_id)
                .filter(|&at| self.saga_tenant[at] == append.tenant_id.0 && self.saga_type[at] == saga.saga_type);
            if let Some(at) = before {
                self.saga_version[at] = int(saga.version.0);
                self.saga_status[at] = saga.status;
                self.saga_state[at] = JsonText(saga.state.as_bytes());
                continue;
            }
            self.saga_tenant.push(append.tenant_id.0);
            self.saga_type.push(saga.saga_type);
            self.saga_id.push(saga.saga_id);
            self.saga_version.push(int(saga.version.0));
            self.saga_status.push(saga.status);
            self.saga_state.push(JsonText(saga.state.as_bytes()));
        }
    }

    fn add_sealed(&mut self, index: usize, append: &'a Append) {
        for row in &append.sealed {
            match row {
                SealedRow::Customer(customer) => {
                    self.customer_owner.push(index);
                    self.customer_tenant.push(append.tenant_id.0);
                    self.customer_id.push(customer.customer_id.0);
                    self.customer_revision.push(customer.revision);
                    self.customer_key.push(&customer.wrapped_key);
                    self.customer_master_key_id.push(&customer.master_key_id);
                    self.customer_profile.push(&customer.profile);
                    self.customer_email_lookup.push(&customer.email_lookup);
                }
                SealedRow::Note(note) => {
                    self.note_tenant.push(append.tenant_id.0);
                    self.note_customer.push(note.customer_id.0);
                    self.note_booking.push(note.booking_id.0);
                    self.note_kind.push(note.kind);
                    self.note_ciphertext.push(&note.ciphertext);
                }
            }
        }
    }

    pub fn tenants_and_metadata(&self) -> [&(dyn ToSql + Sync); 2] {
        [&self.tenants, &self.metadata]
    }

    #[rustfmt::skip]
    pub fn params(&self) -> [&(dyn ToSql + Sync); 47] {
        [
            &self.tenants,
            &self.stream_tenant, &self.stream_type, &self.stream_id, &self.stream_expected,
            &self.stream_expected_event, &self.stream_version, &self.stream_event,
            &self.check_tenant, &self.check_type, &self.check_id, &self.check_expected, &self.check_expected_event,
            &self.event_stream, &self.event_id, &self.event_type, &self.event_version, &self.event_schema,
            &self.event_payload, &self.event_occurred, &self.event_metadata, &self.metadata,
            &self.key_tenant, &self.key, &self.key_command, &self.key_hash, &self.key_status, &self.key_answer,
            &self.key_sealed_for,
            &self.saga_tenant, &self.saga_type, &self.saga_id, &self.saga_version, &self.saga_status, &self.saga_state,
            &self.customer_tenant, &self.customer_id, &self.customer_revision, &self.customer_key,
            &self.customer_master_key_id, &self.customer_profile, &self.customer_email_lookup,
            &self.note_tenant, &self.note_customer, &self.note_booking, &self.note_kind, &self.note_ciphertext,
        ]
    }
}

/// The types of [`Columns::params`], so that preparing needs no round trip to look them up.
#[rustfmt::skip]
pub(super) const TYPES: [Type; 47] = [
    Type::UUID_ARRAY,
    Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::INT4_ARRAY,
    Type::UUID_ARRAY, Type::INT4_ARRAY, Type::UUID_ARRAY,
    Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::INT4_ARRAY, Type::UUID_ARRAY,
    Type::INT4_ARRAY, Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::INT2_ARRAY,
    Type::JSONB_ARRAY, Type::TIMESTAMPTZ_ARRAY, Type::INT4_ARRAY, Type::JSONB_ARRAY,
    Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::BYTEA_ARRAY, Type::INT2_ARRAY, Type::BYTEA_ARRAY,
    Type::UUID_ARRAY,
    Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::JSONB_ARRAY,
    Type::UUID_ARRAY, Type::UUID_ARRAY, Type::INT4_ARRAY, Type::BYTEA_ARRAY,
    Type::TEXT_ARRAY, Type::BYTEA_ARRAY, Type::BYTEA_ARRAY,
    Type::UUID_ARRAY, Type::UUID_ARRAY, Type::UUID_ARRAY, Type::TEXT_ARRAY, Type::BYTEA_ARRAY,
];

/// One-based, as the function counts.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).expect("a batch is bounded")
}

fn int(version: u32) -> i32 {
    i32::try_from(version).expect("a stream ends at 2^31 events")
}

fn event(head: Head) -> Option<Uuid> {
    head.last_event_id.map(|id| id.0)
}

fn small(value: u16) -> i16 {
    i16::try_from(value).expect("statuses and schema versions are small")
}
