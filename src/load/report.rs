//! The result of a run, as a summary to read and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::args::LoadArgs;
use super::arrivals::TIMER_SLACK_MICROS;
use super::check::Verdict;
use super::client::ExchangeError;
use super::recorder::{Recorder, Tally};
use super::requests::Kind;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `null` in a closed loop.
    pub target_rate: Option<f64>,
    /// With a rate, how much later than its time a request may leave without that counting as the server's delay.
    pub timer_slack_micros: u64,
    pub connections: u32,
    pub tenants: usize,
    /// Staff members booked, all tenants together.
    pub people: usize,
    pub elapsed_seconds: f64,
    /// Answers of any status.
    pub answers: u64,
    pub answers_per_second: f64,
    /// Answered with 201.
    pub bookings: u64,
    pub bookings_per_second: f64,
    pub kinds: BTreeMap<Kind, KindReport>,
    /// Attempts that got no usable answer; each was retried.
    pub errors: BTreeMap<ExchangeError, u64>,
    /// Requests without an answer at the end.
    pub unresolved: u64,
    /// Arrivals that were due but not sent, because the server was too far behind.
    pub unsent: u64,
    pub slots_handed_out: u64,
    /// The run ended early because no free slot was left to ask for.
    pub horizon_exhausted: bool,
    /// `null` when it was switched off.
    pub check: Option<Verdict>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindReport {
    pub statuses: BTreeMap<u16, u64>,
    pub latency_micros: Latency,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    #[serde(rename = "p99.9")]
    pub p99_9: u64,
    pub max: u64,
}

/// What a run amounts to apart from its answers.
pub struct Outcome {
    pub tenants: usize,
    pub people: usize,
    pub elapsed: Duration,
    pub unsent: u64,
    pub slots_handed_out: u64,
    pub horizon_exhausted: bool,
    pub check: Option<Verdict>,
}

impl Report {
    pub fn new(args: &LoadArgs, recorder: &Recorder, outcome: Outcome) -> Report {
        let seconds = outcome.elapsed.as_secs_f64();
        let answers = recorder.total().latency_micros.len();
        let kinds = Kind::ALL.into_iter().map(|kind| (kind, KindReport::new(recorder.tally(kind))));
        Report {
            target_rate: args.rate,
            timer_slack_micros: args.rate.map_or(0, |_| TIMER_SLACK_MICROS),
            connections: args.connections,
            tenants: outcome.tenants,
            people: outcome.people,
            elapsed_seconds: seconds,
            answers,
            answers_per_second: answers as f64 / seconds,
            bookings: recorder.bookings(),
            bookings_per_second: recorder.bookings() as f64 / seconds,
            kinds: kinds.filter(|(_, report)| !report.statuses.is_empty()).collect(),
            errors: recorder.errors.clone(),
            unresolved: recorder.unresolved,
            unsent: outcome.unsent,
            slots_handed_out: outcome.slots_handed_out,
            horizon_exhausted: outcome.horizon_exhausted,
            check: outcome.check,
        }
    }

    pub fn check_failed(&self) -> bool {
        self.check.as_ref().is_some_and(|verdict| !verdict.passed())
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data with text keys")
    }
}

impl KindReport {
    fn new(tally: &Tally) -> KindReport {
        KindReport { statuses: tally.statuses.clone(), latency_micros: Latency::of(&tally.latency_micros) }
    }
}

impl Latency {
    fn of(micros: &Histogram<u64>) -> Latency {
        Latency {
            p50: micros.value_at_quantile(0.5),
            p90: micros.value_at_quantile(0.9),
            p99: micros.value_at_quantile(0.99),
            p99_9: micros.value_at_quantile(0.999),
            max: micros.max(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loop_kind = self.target_rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        writeln!(
            f,
            "{loop_kind}, {} connections, {} tenants, {} staff, {:.1} s",
            self.connections, self.tenants, self.people, self.elapsed_seconds
        )?;
        if self.timer_slack_micros > 0 {
            let slack = self.timer_slack_micros / 1_000;
            writeln!(
                f,
                "latencies count from the time of arrival, but for the up to {slack} ms that the timer is late"
            )?;
        }
        writeln!(f, "answers   {:>12}  {:>10.1}/s", Count(self.answers), self.answers_per_second)?;
        writeln!(f, "bookings  {:>12}  {:>10.1}/s", Count(self.bookings), self.bookings_per_second)?;
        writeln!(f, "\nlatency, ms          p50        p90        p99      p99.9        max")?;
        for (kind, KindReport { latency_micros: latency, .. }) in &self.kinds {
            write!(f, "{:<13}", kind.as_str())?;
            for micros in [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max] {
                write!(f, " {:>10.2}", micros as f64 / 1_000.0)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\nanswers by status")?;
        for (kind, report) in &self.kinds {
            write!(f, "{:<13}", kind.as_str())?;
            report.statuses.iter().try_for_each(|(status, &count)| write!(f, "  {status}: {}", Count(count)))?;
            writeln!(f)?;
        }
        self.fmt_trouble(f)?;
        match &self.check {
            Some(verdict) => write!(f, "\n{verdict}"),
            None => write!(f, "\ncheck: skipped"),
        }
    }
}

impl Report {
    fn fmt_trouble(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (error, &count) in &self.errors {
            writeln!(f, "{error}: {} attempts, retried", Count(count))?;
        }
        if self.unresolved > 0 {
            writeln!(f, "{} requests never got an answer", Count(self.unresolved))?;
        }
        if self.unsent > 0 {
            writeln!(f, "{} arrivals were due but not sent: the server was too far behind", Count(self.unsent))?;
        }
        if self.horizon_exhausted {
            let slots = Count(self.slots_handed_out);
            writeln!(f, "ended early: all {slots} free slots were asked for; use more --staff or --horizon-days")?;
        }
        Ok(())
    }
}

/// A number with separated thousands.
#[derive(Clone, Copy)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::args::tests::parsed;

    fn report(check: Option<Verdict>) -> Report {
        let mut recorder = Recorder::empty();
        for millis in 1..=1_000 {
            recorder.answer(Kind::Book, 201, Duration::from_millis(millis));
        }
        recorder.answer(Kind::Get, 404, Duration::from_micros(70));
        let outcome = Outcome {
            tenants: 1,
            people: 4,
            elapsed: Duration::from_secs(20),
            unsent: 3,
            slots_handed_out: 1_000,
            horizon_exhausted: true,
            check,
        };
        Report::new(&parsed("--rate 50").expect("valid"), &recorder, outcome)
    }

    #[test]
    fn the_histogram_is_summed_up_by_kind() {
        let latency = &report(None).kinds[&Kind::Book].latency_micros;
        let near = |value: u64, millis: u64| value.abs_diff(millis * 1_000) <= millis;
        assert!(near(latency.p50, 500) && near(latency.p90, 900) && near(latency.p99, 990), "{latency:?}");
        assert!(near(latency.p99_9, 999) && near(latency.max, 1_000), "{latency:?}");
    }

    #[test]
    fn the_summary_and_the_json_say_what_happened() {
        let verdict =
            Verdict { acknowledged: 1_000, listed: 999, people: 4, problems: 1, first: vec!["gone".to_owned()] };
        let report = report(Some(verdict));
        assert!(report.check_failed());
        assert_eq!(report.timer_slack_micros, TIMER_SLACK_MICROS);
        let text = report.to_string();
        for part in
            ["open loop at 50/s", "bookings         1,000        50.0/s", "404: 1", "3 arrivals", "ended early", "gone"]
        {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(json["kinds"]["book"]["statuses"]["201"], 1_000);
        assert_eq!(json["check"]["problems"], 1);
        assert!(json["kinds"]["get"]["latencyMicros"]["p99.9"].is_u64());
    }

    #[test]
    fn a_run_without_bookings_has_shown_nothing() {
        let verdict = Verdict { acknowledged: 0, listed: 7, people: 4, problems: 0, first: Vec::new() };
        let report = report(Some(verdict));
        assert!(report.check_failed());
        assert!(report.to_string().ends_with("nothing to check, no booking was acknowledged"), "{report}");
    }
}
