//! The runbook as an operator would type it: each of its shell blocks, in order, in one shell.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::text;
use crate::support::TestDir;

const RUNBOOK: &str = include_str!("../../../RUNBOOK.md");

/// Before the back-up there is a booking to be found again. The tenant gets a service and a person for it.
const BOOK: &str = r#"
api() { curl -fsS "http://127.0.0.1:8080$1" -H "Authorization: Bearer $TOKEN" -H "X-Workspace-ID: $TENANT" "${@:2}"; }
post() { api "$1" -H 'Content-Type: application/json' -H "Idempotency-Key: runbook-$(uuid)" -d "$2"; }
uuid() { cat /proc/sys/kernel/random/uuid; }
book() {
    post /v1/bookings "{\"serviceId\":\"$SERVICE\",\"staffId\":\"$STAFF\",\"slotStart\":\"2031-06-02T$1:00:00Z\",
        \"slotEnd\":\"2031-06-02T$1:30:00Z\",\"price\":{\"currency\":\"CHF\",\"amount\":5000},
        \"customer\":{\"id\":\"$(uuid)\",\"email\":\"anna@example.ch\",\"firstName\":\"Anna\",\"lastName\":\"Muster\"}}" |
        jq -r .booking.id
}
SERVICE=$(post /v1/services '{"name":"Cut","durationMinutes":30,"price":{"currency":"CHF","amount":5000}}' | jq -r .id)
STAFF=$(post /v1/staff '{"displayName":"Lea"}' | jq -r .id)
BEFORE=$(book 08)
"#;

const LOOK: &str = r#"
echo "RESULT $(api /v1/bookings/$BEFORE | jq -c '[.id, .status, .customer.firstName]')"
"#;

#[test]
fn every_line_of_the_runbook_works() {
    let dir = TestDir::new();
    std::fs::create_dir_all(dir.path()).unwrap();
    let script = script(dir.path());
    let output = Command::new("bash").arg("-c").arg(&script).env_remove("DATABASE_URL").stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let results: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once("RESULT "))
        .map(|(_, result)| serde_json::from_str(result).unwrap())
        .collect();
    let [restored, rotated, last] = &results[..] else { panic!("{results:?}") };
    assert_eq!((&restored[1], &restored[2]), (&json!("scheduled"), &json!("Anna")), "{}", text(&output));
    assert_eq!((rotated, last), (restored, restored), "readable under the new keys");
}

/// After which headings something is done besides, to have data and to see what became of them.
fn script(dir: &Path) -> String {
    // The server is stopped whatever happens, its database with it.
    let mut script = String::from(
        "set -euo pipefail\n\
         stop() { kill -TERM \"$(cat $CODECCLOUD_DATA_DIR/server.lock)\"; while kill -0 \"$(cat $CODECCLOUD_DATA_DIR/server.lock)\" 2>/dev/null; do sleep 0.1; done; }\n\
         trap 'code=$?; set +e; [ $code = 0 ] || tail -n 20 $CODECCLOUD_DATA_DIR/server.log >&2; stop 2>/dev/null; exit $code' EXIT\n",
    );
    for (heading, block) in blocks() {
        script.push_str(&format!("echo \"# {heading}\" >&2\n{block}"));
        match heading {
            "Tenants and tokens" => script.push_str(BOOK),
            "Restore" if block.contains("serve") => script.push_str(&format!("{LOOK}book 09\n")),
            "Rotate the vault's master key" if block.contains("unset") => script.push_str(&format!("{LOOK}book 10\n")),
            "Rotate the keys of tokens" if block.contains("TOKEN=") => script.push_str(LOOK),
            _ => {}
        }
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bin = Path::new(env!("CARGO_BIN_EXE_codeccloud")).parent().unwrap().display();
    let at = dir.display();
    script = script.replace("/var/lib/", &format!("{at}/")).replace("/var/backups/", &format!("{at}/backups/"));
    format!("export PATH={bin}:$PATH\n{}", script.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}")))
}

/// Each shell block with the heading above it.
fn blocks() -> Vec<(&'static str, String)> {
    let (mut heading, mut open, mut found) = ("", None::<String>, Vec::new());
    for line in RUNBOOK.lines() {
        match (&mut open, line) {
            (None, "```sh") => open = Some(String::new()),
            (None, line) => heading = line.strip_prefix("## ").unwrap_or(heading),
            (Some(_), "```") => found.extend(open.take().map(|block| (heading, block))),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none() && found.len() > 10, "the runbook has its commands in blocks");
    found
}
