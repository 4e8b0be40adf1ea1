//! No crate is compiled into the server in two versions without a reason that is written down here.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::metadata::{self, Metadata};

const OLD_CRYPTO: &str = "jsonwebtoken 11 builds on the previous generation of RustCrypto, our own code on the current";
const RANDOM: &str = "jsonwebtoken, opentelemetry_sdk and tokio-postgres are each a generation of rand apart";

/// Crate and reason, by name.
const REASONS: [(&str, &str); 15] = [
    ("base64", "reqwest has moved on to 0.23, jsonwebtoken and tokio-postgres not yet"),
    ("block-buffer", OLD_CRYPTO),
    ("const-oid", OLD_CRYPTO),
    ("cpufeatures", OLD_CRYPTO),
    ("crypto-common", OLD_CRYPTO),
    ("digest", OLD_CRYPTO),
    ("getrandom", RANDOM),
    ("hashbrown", "metrics-util is one version behind indexmap"),
    ("hmac", OLD_CRYPTO),
    ("http", "actix-web 4 speaks the types of http 0.2, hyper those of http 1"),
    ("rand", RANDOM),
    ("rand_chacha", RANDOM),
    ("rand_core", RANDOM),
    ("sha2", OLD_CRYPTO),
    ("syn", "derive macros are moving from syn 2 to syn 3; none of it is in the binary"),
];

#[test]
fn no_crate_is_there_twice_without_a_reason() {
    let metadata = metadata::read();
    let twice = in_several_versions(&metadata);
    let mut findings = Vec::new();
    for (name, versions) in &twice {
        if !REASONS.iter().any(|(known, _)| known == name) {
            let versions = versions.iter().copied().collect::<Vec<_>>().join(" and ");
            findings.push(format!(
                "{name} is compiled in as {versions}. Unify them (see `cargo tree -d`), or give the reason in \
                 tests/tidy/duplicates.rs."
            ));
        }
    }
    for (name, reason) in REASONS {
        if !twice.contains_key(name) {
            findings.push(format!("{name} is there once only. Remove it from tests/tidy/duplicates.rs ({reason})."));
        }
    }
    assert_none(&findings);
}

/// Tests may bring what they like: only what normal and build dependencies reach counts.
fn in_several_versions(metadata: &Metadata) -> BTreeMap<&str, BTreeSet<&str>> {
    let dependencies: BTreeMap<&str, Vec<&str>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            let shipped = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")));
            (node.id.as_str(), shipped.map(|dependency| dependency.pkg.as_str()).collect())
        })
        .collect();

    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(&dependencies[id]);
        }
    }

    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata.packages.iter().filter(|package| reached.contains(package.id.as_str())) {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions
}
