//! `schema adopt` on databases that existing deployments run.

mod damages;
mod differences;
mod everybody;
mod interrupted;
mod owners;
mod pooler;
mod report;
mod rows;
mod serving;
mod totals;
mod triggers;
mod writers;

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::mvp::MvpDatabase;

fn codeccloud(database: &MvpDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codeccloud"));
    command.env("DATABASE_URL", database.url()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `schema adopt --json` says, and whether it exits with success.
fn adopt(database: &MvpDatabase, arguments: &[&str]) -> (Value, bool) {
    let output = codeccloud(database, &[&["schema", "adopt", "--json"], arguments].concat());
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (document, output.status.success())
}

fn adopted(database: &MvpDatabase) -> Value {
    let (document, holds) = adopt(database, &[]);
    assert!(holds && document["outcome"] == "adopted", "{document:#}");
    document
}

/// The differences of a grade, as `object: text`.
fn of_grade(document: &Value, grade: &str) -> Vec<String> {
    let all = document["differences"].as_array().unwrap().iter();
    all.filter(|one| one["grade"] == grade)
        .map(|one| format!("{}: {}", one["object"].as_str().unwrap(), one["text"].as_str().unwrap()))
        .collect()
}
