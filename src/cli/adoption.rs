//! `schema adopt`: what was found, what is done about it, and what an operator should know of the rows.

use std::error::Error;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Outcome;
use super::schema::explained;
use crate::postgres::Client;
use crate::postgres::adoption::{self, AdoptionReport, Difference, Found, Grade, Standing};

#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub dry_run: bool,
    pub report: bool,
}

pub(super) async fn run(owner: &mut Client, wish: Wish, as_json: bool) -> Outcome {
    let mut survey = adoption::survey(owner).await.map_err(explained)?;
    if matches!(survey.standing, Standing::Mvp | Standing::Begun) && !survey.is_refused() {
        survey.differences.extend(adoption::rows_in_the_way(owner, wish.dry_run).await?);
    }
    if !as_json {
        survey.differences.iter().for_each(print_difference);
    }
    let mut document = json!({ "differences": survey.differences, "applied": [], "report": null, "sql": null });
    let (outcome, message) = match survey.standing {
        Standing::NoMvp => ("refused", "this is not the MVP's database: `schema apply` makes a fresh one"),
        Standing::Ours => ("refused", "our own migrations have made this database: there is nothing to adopt"),
        Standing::Adopted => {
            if !wish.dry_run {
                adoption::count_totals(owner).await.map_err(explained)?;
            }
            // Nobody has seen it where the run that adopted was ended before.
            if wish.report || !adoption::is_report_given(owner).await? {
                document["report"] = report(owner, None, as_json).await?;
            }
            ("adopted", "the database is adopted already: there is nothing to do")
        }
        Standing::Mvp | Standing::Begun if survey.is_refused() && (!wish.dry_run || survey.lacks_tables()) => {
            ("refused", "nothing was changed: mend what refuses first")
        }
        Standing::Mvp | Standing::Begun if wish.dry_run => {
            let report = adoption::report_without_changes(owner).await?;
            let sql = adoption::script(owner).await.map_err(explained)?;
            if !as_json {
                print_report(&report);
                println!("\n{sql}");
            }
            document["report"] = json!(report);
            document["sql"] = json!(sql);
            ("dryRun", "nothing was changed")
        }
        Standing::Mvp | Standing::Begun => {
            let missing_months = adoption::missing_months(owner).await?;
            document["applied"] = adopt(owner, as_json).await?;
            document["report"] = report(owner, Some(missing_months), as_json).await?;
            ("adopted", "the database is adopted")
        }
    };
    document["outcome"] = json!(outcome);
    document["message"] = json!(message);
    println!("{}", if as_json { document.to_string() } else { message.to_owned() });
    if !document["report"].is_null() && outcome == "adopted" {
        adoption::note_report_given(owner).await?;
    }
    Ok(if survey.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn adopt(owner: &mut Client, as_json: bool) -> Result<Value, Box<dyn Error>> {
    let tell = |name: String| {
        if !as_json {
            println!("{name}")
        }
    };
    let applied = adoption::adopt(owner, |one| tell(format!("applied {:04}_{}", one.number, one.name))).await;
    Ok(applied.map_err(explained)?.iter().map(|one| format!("{:04}_{}", one.number, one.name)).collect())
}

async fn report(
    owner: &mut Client,
    missing_months: Option<Vec<String>>,
    as_json: bool,
) -> Result<Value, Box<dyn Error>> {
    let report = adoption::report(owner, missing_months).await?;
    if !as_json {
        print_report(&report);
    }
    Ok(json!(report))
}

fn print_difference(difference: &Difference) {
    let grade = match difference.grade {
        Grade::Fine => "fine   ",
        Grade::Noted => "noted  ",
        Grade::Refuses => "REFUSES",
    };
    println!("{grade}  {}: {}", difference.object, difference.text);
}

fn print_report(report: &AdoptionReport) {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    println!("months without a partition: {}", list(&report.missing_months));
    println!("disabled triggers: {}", list(&report.disabled_triggers));
    let Some(rows) = &report.rows else {
        println!("rows: row security hides them from this login; they are looked at when the database is adopted");
        return;
    };
    print_found("ids that several months have", &rows.duplicate_ids);
    print_found("appointments that overlap an earlier one", &rows.overlaps);
    rows.personal_data.iter().for_each(|one| println!("personal data in plain text, {}: {}", one.place, one.count));
    rows.without_insert_entry
        .iter()
        .for_each(|one| println!("rows without an insert entry, {}: {}", one.place, one.count));
    println!("audit entries without a tenant: {}", rows.entries_without_tenant);
    println!("audit entries without an actor: {}", rows.entries_without_actor);
}

fn print_found(what: &str, found: &Found) {
    println!("{what}: {}", found.count);
    found.examples.iter().for_each(|one| println!("  tenant {} id {}", one.tenant_id, one.id));
}
