//! Repeatable randomness: the same seed must plan the same run on every machine and with every later version, which no
//! general-purpose generator promises. SplitMix64 is ten lines, fixed for ever, and costs a nanosecond a draw.

use uuid::{Builder, Uuid};

#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// `stream` keeps users of one seed (workers, customers, the schedule) from drawing the same numbers.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut mixed = Random(seed);
        Random(mixed.draw() ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from `0..bound`; `bound` is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.draw()) * bound as u128) >> 64;
        usize::try_from(scaled).expect("less than bound")
    }

    /// Evenly from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    pub fn uuid(&mut self) -> Uuid {
        let bytes = Uuid::from_u64_pair(self.draw(), self.draw()).into_bytes();
        Builder::from_random_bytes(bytes).into_uuid()
    }
}
