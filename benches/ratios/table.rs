//! Paired rounds, and the table of what they came to.

use std::fmt;

pub struct Table {
    wanted: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    ours: f64,
    bare: f64,
    unit: &'static str,
    /// The median of the rounds' ratios, and the extremes.
    ratio: Option<[f64; 3]>,
    bar: Bar,
}

#[derive(Clone, Copy)]
pub enum Bar {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// In the row's unit.
    AtMost(f64),
    /// For the record.
    None,
}

/// What both sides did in each round.
#[derive(Default)]
pub struct Rounds {
    ours: Vec<f64>,
    bare: Vec<f64>,
}

impl Rounds {
    pub fn push(&mut self, ours: f64, bare: f64) {
        self.ours.push(ours);
        self.bare.push(bare);
    }
}

impl Table {
    pub fn new(wanted: Vec<String>) -> Table {
        Table { wanted, rows: Vec::new() }
    }

    pub fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|word| name.contains(word.as_str()))
    }

    pub fn compare(&mut self, name: impl Into<String>, unit: &'static str, rounds: &Rounds, bar: Bar) {
        let ratios: Vec<f64> = rounds.ours.iter().zip(&rounds.bare).map(|(ours, bare)| ours / bare).collect();
        let ratio = [median(&ratios), extreme(&ratios, f64::min), extreme(&ratios, f64::max)];
        let (ours, bare) = (median(&rounds.ours), median(&rounds.bare));
        self.push(Row { name: name.into(), ours, bare, unit, ratio: Some(ratio), bar });
    }

    pub fn record(&mut self, name: impl Into<String>, unit: &'static str, ours: f64, bar: Bar) {
        self.push(Row { name: name.into(), ours, bare: f64::NAN, unit, ratio: None, bar });
    }

    fn push(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        let middle = self.ratio.map_or(f64::NAN, |ratio| ratio[0]);
        let holds = match self.bar {
            Bar::RatioAtLeast(bar) => middle >= bar,
            Bar::RatioAtMost(bar) => middle <= bar,
            Bar::AtMost(bar) => self.ours <= bar,
            Bar::None => return "",
        };
        if holds { "holds" } else { "MISSED" }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:34} {:>12} {:>12} {:11} {:>7} {:>17}  {:>8}",
            "", "ours", "bare", "unit", "ratio", "(least to most)", "bar"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:34} {:>12}", self.name, number(self.ours))?;
        let bare = if self.bare.is_nan() { String::new() } else { number(self.bare) };
        write!(f, " {bare:>12} {:11}", self.unit)?;
        match self.ratio {
            Some([middle, least, most]) => write!(f, " {middle:>7.2} {:>17}", format!("({least:.2} to {most:.2})"))?,
            None => write!(f, " {:>7} {:>17}", "", "")?,
        }
        let bar = match self.bar {
            Bar::RatioAtLeast(bar) => format!("≥ {bar}"),
            Bar::RatioAtMost(bar) => format!("≤ {bar}"),
            Bar::AtMost(bar) => format!("≤ {bar}"),
            Bar::None => String::new(),
        };
        write!(f, "  {bar:>8} {}", self.verdict())
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
        odd => sorted[odd / 2],
    }
}

fn extreme(values: &[f64], pick: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().fold(f64::NAN, pick)
}

fn number(value: f64) -> String {
    if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
