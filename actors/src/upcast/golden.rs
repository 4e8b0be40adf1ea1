use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::current_types;
use crate::event::{Event, EventBody};
use crate::ids::AggregateType;

struct Golden {
    path: PathBuf,
    aggregate_type: AggregateType,
    event_type: String,
    schema_version: u16,
    payload: Vec<u8>,
}

impl Golden {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }

    fn event(&self) -> Event {
        Event::read(self.aggregate_type, &self.event_type, self.schema_version, &self.payload).unwrap_or_else(|error| {
            panic!("{}: {error}. Events of this form are in the store: add an upcaster.", self.path.display())
        })
    }
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Every file under `golden/`; one that isn't named by the rule fails the test rather than being passed over.
fn golden_files() -> Vec<Golden> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("the folder is readable");
        entries.map(|entry| entry.expect("the entry is readable").path()).collect()
    };
    entries(&golden_folder()).iter().flat_map(|folder| entries(folder)).map(parse).collect()
}

fn parse(path: PathBuf) -> Golden {
    let Some((aggregate_type, event_type, schema_version)) = parse_name(&path) else {
        panic!("{}: name it <aggregate type>/<event type>.v<version>[.<case>].json", path.display());
    };
    let payload = fs::read(&path).expect("the file is readable");
    Golden { path, aggregate_type, event_type, schema_version, payload }
}

fn parse_name(path: &Path) -> Option<(AggregateType, String, u16)> {
    let aggregate_type = AggregateType::parse(path.parent()?.file_name()?.to_str()?)?;
    let (event_type, rest) = path.file_name()?.to_str()?.strip_suffix(".json")?.split_once(".v")?;
    let version = rest.split_once('.').map_or(rest, |(version, _case)| version);
    Some((aggregate_type, event_type.to_owned(), version.parse().ok()?))
}

fn encode(event: &Event) -> (u16, Value) {
    let (version, payload) = match event {
        Event::StaffUtilisation(event) => (event.schema_version(), event.payload()),
        Event::LoyaltyBalance(event) => (event.schema_version(), event.payload()),
        Event::StockItem(event) => (event.schema_version(), event.payload()),
        Event::Booking(event) => (event.schema_version(), event.payload()),
    };
    (version, serde_json::from_slice(&payload).expect("a payload is JSON"))
}

#[test]
fn every_version_of_every_event_has_its_golden_file() {
    for aggregate_type in AggregateType::ALL {
        for (event_type, current) in current_types(aggregate_type) {
            for version in 1..=*current {
                let path = golden_folder().join(format!("{aggregate_type}/{event_type}.v{version}.json"));
                assert!(path.is_file(), "{} is missing: write a realistic example", path.display());
            }
        }
    }
}

#[test]
fn every_golden_file_is_readable() {
    for golden in golden_files() {
        golden.event();
    }
}

/// A field that is renamed, added or left out shows here, also one that reading forgives.
#[test]
fn the_form_that_is_written_is_the_golden_one() {
    for golden in golden_files() {
        let (current, written) = encode(&golden.event());
        if golden.schema_version == current {
            let path = golden.path.display();
            assert_eq!(written, golden.json(), "{path}: the form has changed, so raise the event's schema version");
        }
    }
}

#[test]
fn no_event_holds_personal_data() {
    for golden in golden_files() {
        check_impersonal(&golden, &golden.json());
    }
}

/// Free text gives itself away by its spaces, whatever it is called.
fn check_impersonal(golden: &Golden, json: &Value) {
    let path = golden.path.display();
    match json {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(!is_personal(key), "{path}: `{key}` belongs in the vault");
                check_impersonal(golden, value);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| check_impersonal(golden, value)),
        Value::String(text) => {
            assert!(!text.contains(char::is_whitespace), "{path}: free text belongs in the vault");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Also as part of a longer name: `firstName`, `customer_email`.
fn is_personal(key: &str) -> bool {
    let words = ["name", "email", "phone", "note", "comment", "address", "birth", "text"];
    words.iter().any(|word| key.to_lowercase().contains(word))
}

#[test]
fn personal_names_are_known_by_any_spelling() {
    assert!(["firstName", "last_name", "customer_email", "notes"].into_iter().all(is_personal));
    assert!(!["customer_id", "reason", "reason_recorded"].into_iter().any(is_personal));
}

/// The example of an older version is that of the current one, without what was added since.
#[test]
fn what_was_written_in_an_older_form_reads_as_today() {
    for golden in golden_files() {
        let (current, _) = encode(&golden.event());
        if golden.schema_version < current {
            let name = golden.path.file_name().and_then(|name| name.to_str()).expect("a name");
            let today = name.replace(&format!(".v{}.", golden.schema_version), &format!(".v{current}."));
            let today = parse(golden.path.with_file_name(today));
            assert_eq!(golden.event(), today.event(), "{}", golden.path.display());
        }
    }
}
