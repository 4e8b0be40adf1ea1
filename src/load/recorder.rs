//! What happened so far: counts and latency histograms by kind of request, and the live line made of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::client::ExchangeError;
use super::report::Count;
use super::requests::Kind;
use super::worker::Run;

/// Longer waits than this are recorded as this: no attempt outlasts it.
const LONGEST_MICROS: u64 = 600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

pub struct Recorder {
    tallies: [Tally; Kind::ALL.len()],
    pub errors: BTreeMap<ExchangeError, u64>,
    /// Requests that never got an answer, though retried until the run was over.
    pub unresolved: u64,
}

/// The answers to one kind of request.
pub struct Tally {
    pub statuses: BTreeMap<u16, u64>,
    pub latency_micros: Histogram<u64>,
}

impl Tally {
    fn empty() -> Tally {
        Tally { statuses: BTreeMap::new(), latency_micros: empty_histogram() }
    }
}

impl Recorder {
    pub fn empty() -> Recorder {
        Recorder { tallies: Kind::ALL.map(|_| Tally::empty()), errors: BTreeMap::new(), unresolved: 0 }
    }

    pub fn answer(&mut self, kind: Kind, status: u16, latency: Duration) {
        let tally = &mut self.tallies[kind as usize];
        *tally.statuses.entry(status).or_default() += 1;
        tally.latency_micros.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST_MICROS));
    }

    pub fn error(&mut self, error: ExchangeError) {
        *self.errors.entry(error).or_default() += 1;
    }

    pub fn unresolved(&mut self) {
        self.unresolved += 1;
    }

    pub fn tally(&self, kind: Kind) -> &Tally {
        &self.tallies[kind as usize]
    }

    /// Bookings made, that is, answered with 201.
    pub fn bookings(&self) -> u64 {
        let bookings = Kind::ALL.into_iter().filter(|kind| kind.is_booking());
        bookings.filter_map(|kind| self.tally(kind).statuses.get(&201)).sum()
    }

    /// All kinds together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::empty();
        for tally in &self.tallies {
            total.latency_micros.add(&tally.latency_micros).expect("histograms of equal bounds");
            for (&status, &count) in &tally.statuses {
                *total.statuses.entry(status).or_default() += count;
            }
        }
        total
    }

    fn line(&self, elapsed: Duration, answers_before: u64) -> (String, u64) {
        let total = self.total();
        let answers = total.latency_micros.len();
        let millis = |quantile| total.latency_micros.value_at_quantile(quantile) as f64 / 1_000.0;
        let mut line = format!(
            "{:>4} s  {:>7}/s  bookings {}  p50 {:.2} ms  p99 {:.2} ms ",
            elapsed.as_secs(),
            Count(answers - answers_before),
            Count(self.bookings()),
            millis(0.5),
            millis(0.99),
        );
        for (status, &count) in &total.statuses {
            write!(line, " {status}: {}", Count(count)).expect("a String takes all that is written");
        }
        for (error, &count) in &self.errors {
            write!(line, "  {error}: {}", Count(count)).expect("a String takes all that is written");
        }
        (line, answers)
    }
}

fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, SIGNIFICANT_DIGITS).expect("valid bounds")
}

/// Shows the state of the run once a second on standard error, until dropped: on a terminal one line that is
/// rewritten, elsewhere a line each.
pub async fn show_live(run: Arc<Run>) {
    let terminal = std::io::stderr().is_terminal();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut answers = 0;
    loop {
        ticks.tick().await;
        let mut line = String::new();
        run.record(|recorder| (line, answers) = recorder.line(run.pacer.elapsed(), answers));
        if terminal { eprint!("\r\x1b[2K{line}") } else { eprintln!("{line}") }
    }
}

/// Leaves the last state on the terminal, above what is printed next.
pub fn end_live_line() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_by_kind_and_add_up() {
        let mut recorder = Recorder::empty();
        for micros in 1..=1_000 {
            recorder.answer(Kind::Book, if micros > 990 { 409 } else { 201 }, Duration::from_micros(micros));
        }
        recorder.answer(Kind::List, 200, Duration::from_secs(3_600));
        let book = recorder.tally(Kind::Book);
        assert_eq!((recorder.bookings(), book.statuses[&409]), (990, 10));
        assert_eq!((book.latency_micros.value_at_quantile(0.5), book.latency_micros.max()), (500, 1_000));
        let total = recorder.total();
        assert_eq!(total.latency_micros.len(), 1_001);
        assert!(total.latency_micros.max() >= LONGEST_MICROS, "a long wait is kept at the ceiling");
    }

    #[test]
    fn the_live_line_shows_the_rate_of_the_last_second() {
        let mut recorder = Recorder::empty();
        for _ in 0..1_500 {
            recorder.answer(Kind::Book, 201, Duration::from_millis(2));
        }
        recorder.error(ExchangeError::ConnectionLost);
        let (line, answers) = recorder.line(Duration::from_secs(7), 300);
        assert_eq!(answers, 1_500);
        for part in ["7 s", "1,200/s", "bookings 1,500", "p99 2.00 ms", "201: 1,500", "connection lost: 1"] {
            assert!(line.contains(part), "no {part:?} in {line:?}");
        }
    }
}
