//! Every dependency may be used under a licence that we accept. To accept one more, add it to the list.

use crate::{assert_none, metadata};

const ACCEPTED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_dependency_has_a_licence_that_we_accept() {
    let findings: Vec<String> = metadata::read()
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(accepts))
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("no licence in its manifest");
            let (name, version) = (&package.name, &package.version);
            format!("{name} {version}: {licence}. Replace the crate, or accept the licence in tests/tidy/licences.rs.")
        })
        .collect();
    assert_none(&findings);
}

/// Whether an SPDX expression leaves us a choice that is accepted. `/` is the old way to write `OR`, `+` allows later
/// versions as well, and an exception after `WITH` only ever permits more.
fn accepts(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let accepted = any_of(&mut words);
    accepted && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words) -> bool {
    let mut accepted = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        accepted |= all_of(words);
    }
    accepted
}

fn all_of(words: &mut Words) -> bool {
    let mut accepted = one(words);
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words);
    }
    accepted
}

fn one(words: &mut Words) -> bool {
    let accepted = match words.next() {
        Some("(") => {
            let inner = any_of(words);
            inner && words.next() == Some(")")
        }
        Some(licence) => ACCEPTED.contains(&licence.trim_end_matches('+')),
        None => false,
    };
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    accepted
}

#[test]
fn reads_licence_expressions_as_their_authors_mean_them() {
    for accepted in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "MPL-2.0+",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-3.0-only) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
        "GPL-3.0-only AND MIT OR ISC",
    ] {
        assert!(accepts(accepted), "{accepted}");
    }
    for refused in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "GPL-3.0-only OR AGPL-3.0-only",
        "MIT AND (GPL-3.0-only OR SSPL-1.0)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT ISC",
        "(MIT",
    ] {
        assert!(!accepts(refused), "{refused}");
    }
}
