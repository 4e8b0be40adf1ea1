//! House rules for our own sources. To add one, add a line to a table, or a check to [`findings`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::assert_none;

/// Where a rule holds, where it doesn't within that, what must not be named there, and what to do instead.
struct Rule {
    below: &'static str,
    except: &'static [&'static str],
    banned: &'static [&'static str],
    remedy: &'static str,
}

const RULES: [Rule; 8] = [
    Rule {
        below: "actors/src/",
        except: &["actors/src/runtime/"],
        banned: &["actix"],
        remedy: "only actors/src/runtime names actix; everything else sees handles",
    },
    Rule {
        below: "actors/src/",
        except: &[],
        banned: &["tokio_postgres", "actix_web", "std::env"],
        remedy: "the core knows no SQL, no HTTP and no environment; bring it in through a port",
    },
    Rule {
        below: "src/",
        except: &["src/postgres/"],
        banned: &["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"WITH "],
        remedy: "SQL lives in src/postgres and schema/; give it a function there",
    },
    Rule {
        below: "src/",
        // Those who put adapters together hand connections on, and settings check that a URL is one.
        except: &["src/postgres/", "src/app.rs", "src/cli/", "src/settings/"],
        banned: &["tokio_postgres"],
        remedy: "only the PostgreSQL adapter and who sets it up know its driver; ask through a port",
    },
    Rule {
        below: "src/",
        except: &["src/redis/", "src/settings/"],
        banned: &["bb8_redis"],
        remedy: "only the Redis adapter knows its driver; ask through a port",
    },
    Rule {
        below: "src/http/",
        except: &[],
        banned: &["crate::postgres", "crate::redis", "crate::payments", "crate::app", "crate::cli"],
        remedy: "HTTP reaches adapters only through ports; app.rs puts them together",
    },
    Rule {
        below: "src/postgres/",
        except: &[],
        banned: &["actix", "crate::http", "crate::admin", "crate::app", "crate::cli"],
        remedy: "dependencies run from the door to the store, never back; move what both need into the core",
    },
    Rule {
        below: "",
        except: &["tests/tidy/"],
        banned: &["TODO", "FIXME", "XXX"],
        remedy: "do it now, or write an issue",
    },
];

const LINES_MAX: usize = 500;

/// Names under which everything lands.
const BANNED_MODULES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

const METRIC_MACROS: [&str; 3] = ["counter!(", "gauge!(", "histogram!("];

#[test]
fn the_sources_keep_the_house_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["actors", "src", "tests", "benches"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(!files.is_empty(), "no sources found below {}", root.display());
    let mut all = Vec::new();
    for file in files {
        let path = file.strip_prefix(root).expect("collected below the root").to_string_lossy().into_owned();
        all.extend(findings(&path, &fs::read_to_string(&file).expect("sources are UTF-8")));
        if file.file_stem().is_some_and(|stem| stem != "main" && stem != "lib") && file.with_extension("").is_dir() {
            all.push(format!("{path}: stands beside the folder of its modules; move it there as mod.rs."));
        }
    }
    assert_none(&all);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!("{path}: {lines} lines. Find the concept that is missing, and split (at {LINES_MAX})."));
    }
    if path.split(['/', '.']).any(|part| BANNED_MODULES.contains(&part)) {
        findings.push(format!("{path}: a name that everything fits. Name the module after what it is about."));
    }
    for (number, line) in (1..).zip(text.lines()) {
        for rule in RULES.iter().filter(|rule| rule.holds_for(path)) {
            if let Some(word) = rule.banned.iter().find(|word| names(line, word)) {
                findings.push(format!("{path}:{number}: {word}: {}.", rule.remedy));
            }
        }
        let named_on_the_spot = |name| line.contains(&format!("{name}\""));
        if !path.starts_with("tests/") && METRIC_MACROS.iter().any(named_on_the_spot) {
            findings
                .push(format!("{path}:{number}: name the metric where all metrics are named, and use the constant."));
        }
    }
    findings
}

impl Rule {
    fn holds_for(&self, path: &str) -> bool {
        path.starts_with(self.below) && !self.except.iter().any(|exception| path.starts_with(exception))
    }
}

/// Whether code names `word`, not merely as a part of a longer name. Comments may name what they like, save for the
/// reminders that only stand in comments.
fn names(line: &str, word: &str) -> bool {
    let is_reminder = word.chars().all(char::is_uppercase);
    let code = if is_reminder { line } else { line.split("//").next().unwrap_or_default() };
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let starts = !code[..at].ends_with(continues) || !word.starts_with(continues);
        // `actix` stands for the whole family of crates.
        starts && (word == "actix" || !word.ends_with(continues) || !code[at + word.len()..].starts_with(continues))
    })
}

#[test]
fn each_rule_finds_its_violation_and_nothing_beside() {
    let violations = [
        ("actors/src/projections/mod.rs", "use actix::Addr;"),
        ("actors/src/projections/mod.rs", "use actix_rt::spawn;"),
        ("actors/src/runtime/mod.rs", "let zone = std::env::var(\"TZ\");"),
        ("src/http/bookings.rs", "client.query(\"SELECT 1\", &[])"),
        ("src/app.rs", "client.execute(\"DELETE FROM bookings\", &[])"),
        ("src/admin/mod.rs", "use tokio_postgres::Client;"),
        ("src/http/mod.rs", "use crate::postgres::Pool;"),
        ("src/postgres/mod.rs", "use crate::http::Problem;"),
        ("src/app.rs", "// TODO: later"),
        ("src/utils/mod.rs", ""),
        ("tests/integration/helpers.rs", ""),
        ("src/app.rs", "metrics::counter!(\"requests\").increment(1);"),
        ("src/app.rs", &"\n".repeat(LINES_MAX + 1)),
    ];
    for (path, text) in violations {
        assert_eq!(findings(path, text).len(), 1, "{path}: {text}");
    }
    let allowed = [
        ("actors/src/runtime/router.rs", "use actix::Addr;"),
        ("actors/src/ports/mod.rs", "//! Nothing here knows actix or tokio_postgres."),
        ("src/postgres/pool.rs", "client.query(\"SELECT 1\", &[])"),
        ("src/http/mod.rs", "use crate::postgres_free::Port;"),
        ("src/app.rs", "metrics::counter!(names::REQUESTS).increment(1);"),
        ("src/app.rs", "println!(\"UPDATED\");"),
        ("src/app.rs", &"\n".repeat(LINES_MAX)),
    ];
    for (path, text) in allowed {
        assert_eq!(findings(path, text), [""; 0], "{path}");
    }
}
