//! When requests are sent, and the instant that each one's latency counts from.
//!
//! Open loop: arrivals have their times whatever the server does. A connection takes the next arrival when it is free;
//! one that is taken late, because every connection waited for an answer, counts from its scheduled time. So a stall
//! shows in the latency of everything that queued behind it, instead of hiding as requests that were never sent
//! ("coordinated omission").

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::args::{LoadArgs, Spacing};
use super::random::Random;

/// How long after the end queued arrivals are still sent, and lost requests retried.
const DRAIN: Duration = Duration::from_secs(10);

/// What tokio's timer may add to a wait that the server has no part in: it ticks, and rounds up, in milliseconds.
pub const TIMER_SLACK_MICROS: u64 = 2_000;
const TIMER_SLACK: Duration = Duration::from_micros(TIMER_SLACK_MICROS);

/// Keeps the random stream of the schedule apart from those of workers, which count from 0.
const RANDOM_STREAM: u64 = u64::MAX;

pub struct Pacer {
    start: Instant,
    end: Instant,
    /// `None` in a closed loop.
    schedule: Option<Mutex<Schedule>>,
    stopped: AtomicBool,
}

impl Pacer {
    /// A pacer whose run begins now.
    pub fn start(args: &LoadArgs) -> Pacer {
        let start = Instant::now();
        let random = Random::new(args.seed, RANDOM_STREAM);
        let schedule = |rate| Mutex::new(Schedule::new(rate, args.duration, args.arrivals, random));
        Pacer {
            start,
            end: start + Duration::from_secs_f64(args.duration),
            schedule: args.rate.map(schedule),
            stopped: AtomicBool::new(false),
        }
    }

    /// Waits for the caller's turn to send and answers the instant that its latency counts from; `None` when the run
    /// is over.
    pub async fn turn(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.stopped() {
            return None;
        }
        let Some(schedule) = &self.schedule else {
            return (now < self.end).then_some(now);
        };
        if !self.may_drain() {
            return None;
        }
        let due = self.start + schedule.lock().expect("no panic under the lock").claim()?;
        if now >= due {
            return Some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        Some(Instant::now().min(due + TIMER_SLACK).max(due))
    }

    /// Ends the run early.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the run ended early.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether what is queued or lost may still be sent.
    pub fn may_drain(&self) -> bool {
        Instant::now() < self.end + DRAIN
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Arrivals that nobody took because the server was too far behind; counted once, after the run.
    pub fn unsent(&self) -> u64 {
        let Some(schedule) = self.schedule.as_ref().filter(|_| !self.stopped()) else { return 0 };
        let mut schedule = schedule.lock().expect("no panic under the lock");
        std::iter::from_fn(|| schedule.claim()).fold(0, |unsent, _| unsent + 1)
    }
}

/// The times of arrivals, as distances from the start.
#[derive(Debug)]
struct Schedule {
    rate: f64,
    duration_seconds: f64,
    spacing: Spacing,
    random: Random,
    claimed: u64,
    poisson_seconds: f64,
}

impl Schedule {
    fn new(rate: f64, duration_seconds: f64, spacing: Spacing, random: Random) -> Schedule {
        Schedule { rate, duration_seconds, spacing, random, claimed: 0, poisson_seconds: 0.0 }
    }

    fn claim(&mut self) -> Option<Duration> {
        let due_seconds = match self.spacing {
            Spacing::Even => self.claimed as f64 / self.rate,
            Spacing::Poisson => self.poisson_seconds,
        };
        if due_seconds >= self.duration_seconds {
            return None;
        }
        self.claimed += 1;
        self.poisson_seconds += -(1.0 - self.random.unit()).ln() / self.rate;
        Some(Duration::from_secs_f64(due_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::args::tests::parsed;

    fn times(spacing: Spacing, seed: u64) -> Vec<Duration> {
        let mut schedule = Schedule::new(200.0, 10.0, spacing, Random::new(seed, 0));
        std::iter::from_fn(|| schedule.claim()).collect()
    }

    #[test]
    fn even_arrivals_keep_the_rate_exactly() {
        let times = times(Spacing::Even, 1);
        assert_eq!(times.len(), 2_000);
        assert_eq!(times[1_999], Duration::from_millis(9_995));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_on_average_and_repeat_with_their_seed() {
        let drawn = times(Spacing::Poisson, 7);
        assert!((1_850..2_150).contains(&drawn.len()), "{} arrivals", drawn.len());
        assert_eq!(drawn, times(Spacing::Poisson, 7));
        assert_ne!(drawn, times(Spacing::Poisson, 8));
        // The gaps of independent arrivals vary as much as they last: their deviation equals their mean.
        let gaps: Vec<f64> = drawn.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.85..1.15).contains(&(variance.sqrt() / mean)));
    }

    #[tokio::test]
    async fn arrivals_missed_during_a_stall_count_from_their_scheduled_time() {
        let pacer = Pacer::start(&parsed("--rate 100 --duration 0.3").expect("valid"));
        std::thread::sleep(Duration::from_millis(205));
        for missed in 0..=20 {
            let origin = pacer.turn().await.expect("still due");
            assert_eq!(origin, pacer.start + Duration::from_millis(10 * missed), "the stall moved arrival {missed}");
        }
        let origin = pacer.turn().await.expect("still due");
        let lag = origin.duration_since(pacer.start + Duration::from_millis(210));
        assert!(lag <= TIMER_SLACK, "an arrival that nobody delayed lags {lag:?}");
        assert_eq!(pacer.unsent(), 8);
    }

    #[tokio::test]
    async fn a_closed_loop_counts_from_sending_and_ends_in_time() {
        let pacer = Pacer::start(&parsed("--max --duration 0.05").expect("valid"));
        let before = Instant::now();
        assert!(pacer.turn().await.expect("running") >= before);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(pacer.turn().await, None);
        assert_eq!(pacer.unsent(), 0);
    }
}
