//! When a failed attempt is tried again. Jitter keeps what failed together from coming back together.

use std::time::Duration;

/// How often, and after which pauses, attempts are made until the delivery is a dead letter.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// Doubled from one attempt to the next.
    Backoff { min: Duration, max: Duration, attempts_max: u32 },
    /// One pause after each attempt but the last.
    Fixed(Vec<Duration>),
}

impl Schedule {
    /// As the specification of Standard Webhooks has it: ten attempts over three days.
    pub fn standard_webhooks() -> Schedule {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Schedule::Fixed(seconds.map(Duration::from_secs).to_vec())
    }

    /// The pause after this attempt, the first being 1; `None` when it was the last. `chance` lies in `[0, 1)`.
    pub fn pause_after(&self, attempt: u32, chance: f64) -> Option<Duration> {
        match self {
            Schedule::Backoff { min, max, attempts_max } => {
                let doubled = min.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
                let pause = doubled.min(*max);
                // From half of it up to all of it.
                (attempt < *attempts_max).then(|| pause.mul_f64(0.5 + chance / 2.0))
            }
            Schedule::Fixed(pauses) => {
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                // Up to a tenth longer, never shorter: receivers may rely on the schedule.
                pauses.get(index).map(|pause| pause.mul_f64(1.0 + chance / 10.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_with_jitter_and_end() {
        let schedule = Schedule::Backoff { min: Duration::from_secs(4), max: Duration::from_secs(20), attempts_max: 6 };
        let longest: Vec<Option<u64>> =
            (1..=6).map(|attempt| schedule.pause_after(attempt, 1.0).map(|pause| pause.as_secs())).collect();
        assert_eq!(longest, [Some(4), Some(8), Some(16), Some(20), Some(20), None]);
        assert_eq!(schedule.pause_after(2, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(schedule.pause_after(2, 0.5), Some(Duration::from_secs(6)));
    }

    #[test]
    fn no_number_of_attempts_overflows() {
        let schedule =
            Schedule::Backoff { min: Duration::from_secs(1), max: Duration::from_secs(3_600), attempts_max: u32::MAX };
        assert_eq!(schedule.pause_after(1_000, 1.0), Some(Duration::from_secs(3_600)));
    }

    #[test]
    fn webhooks_are_tried_ten_times_over_three_days() {
        let schedule = Schedule::standard_webhooks();
        let pauses: Vec<Duration> = (1..).map_while(|attempt| schedule.pause_after(attempt, 0.0)).collect();
        assert_eq!(pauses.len(), 9);
        assert_eq!((pauses[0].as_secs(), pauses[8].as_secs()), (5, 86_400));
        let total: Duration = pauses.iter().sum();
        assert_eq!(total.as_secs(), 5 + 5 * 60 + 30 * 60 + (2 + 5 + 10 + 14 + 20 + 24) * 3_600);
        assert!(schedule.pause_after(1, 0.99).unwrap() < Duration::from_millis(5_500));
    }
}
