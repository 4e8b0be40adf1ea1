use serde_json::Value;

use super::{codeccloud, succeeds, text};
use crate::support::TestDir;

#[test]
fn the_migrations_are_there_as_a_document_too() {
    let dir = TestDir::new();
    succeeds(dir.path(), &["schema", "apply"]);
    let output = codeccloud(dir.path(), &["schema", "status", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert_eq!((&rows[0]["number"], &rows[0]["name"]), (&Value::from(1), &Value::from("mvp")));
    assert!(rows.iter().all(|row| row["appliedAt"].is_string()), "{rows:?}");
    assert!(output.status.success(), "scripts go by it");

    let last = rows.last().unwrap()["number"].as_u64().unwrap() - 1;
    succeeds(dir.path(), &["schema", "rollback", "--to", &last.to_string()]);
    let pending = codeccloud(dir.path(), &["schema", "status"]);
    assert_eq!(pending.status.code(), Some(1), "{}", text(&pending));
    assert!(text(&pending).contains("not applied"));
}
