//! The rules that people forget, each with its remedy in the message. Part of `make check`; works offline.

mod duplicates;
mod licences;
mod metadata;
mod scripts;
mod sources;

/// Fails with all findings at once, so that one run shows all there is to do.
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n\n{}\n", findings.join("\n"));
}
