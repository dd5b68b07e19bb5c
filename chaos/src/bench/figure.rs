//! One measured figure, and what it is held against.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One line of `bench.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// `suite.what.how`; unique.
    pub name: String,
    /// Median over the repetitions.
    pub value: f64,
    /// Of `value` and `floor`: `us`, `s`, `MiB`, `events/s` …
    pub unit: String,
    /// What the machine itself gives for the same work, measured in between. Median.
    pub floor: Option<f64>,
    /// Median over the repetitions of value / floor of that repetition, so that a slow minute counts for both.
    pub ratio: Option<f64>,
    /// In words: `ratio <= 1.25`, `value <= 24`, joined by `and`.
    pub goal: Option<String>,
    /// Whether the goal is met.
    pub holds: Option<bool>,
    /// Largest minus smallest repetition, of the median. Shown, not kept.
    #[serde(skip)]
    pub spread: Option<f64>,
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
    /// At most so many floors and so much more, in the figure's unit.
    FloorsPlus(f64, f64),
}

impl Bound {
    /// A figure without what the bound is about does not hold it.
    fn holds(self, value: f64, floor: Option<f64>, ratio: Option<f64>) -> bool {
        match self {
            Self::RatioAtMost(limit) => ratio.is_some_and(|ratio| ratio <= limit),
            Self::RatioAtLeast(limit) => ratio.is_some_and(|ratio| ratio >= limit),
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::FloorsPlus(floors, more) => floor.is_some_and(|floor| value <= floors * floor + more),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtMost(limit) => write!(f, "ratio <= {limit}"),
            Self::RatioAtLeast(limit) => write!(f, "ratio >= {limit}"),
            Self::AtMost(limit) => write!(f, "value <= {limit}"),
            Self::AtLeast(limit) => write!(f, "value >= {limit}"),
            Self::FloorsPlus(floors, more) => write!(f, "value <= {floors} floor + {more}"),
        }
    }
}

impl Figure {
    /// From the repetitions of ours alone.
    pub(super) fn of(name: impl Into<String>, unit: &str, values: &[f64]) -> Self {
        let value = median(values);
        let (name, unit) = (name.into(), unit.to_owned());
        Self { name, value, unit, floor: None, ratio: None, goal: None, holds: None, spread: spread(values) }
    }

    /// From repetitions of ours and of the floor, taken in turn.
    pub(super) fn beside(name: impl Into<String>, unit: &str, values: &[f64], floors: &[f64]) -> Self {
        let ratios: Vec<f64> = values.iter().zip(floors).map(|(value, floor)| value / floor).collect();
        let (floor, ratio) = (Some(median(floors)), Some(median(&ratios)));
        Self { floor, ratio, ..Self::of(name, unit, values) }
    }

    /// Holds it against a goal: every bound.
    pub(super) fn goal(mut self, bounds: &[Bound]) -> Self {
        let words: Vec<_> = bounds.iter().map(Bound::to_string).collect();
        self.holds = Some(bounds.iter().all(|bound| bound.holds(self.value, self.floor, self.ratio)));
        self.goal = Some(words.join(" and "));
        self
    }
}

/// The middle one; the mean of both if there are two; NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(value), 1) => *value,
        (Some(value), _) => (sorted[middle - 1] + value) / 2.0,
        (None, _) => f64::NAN,
    }
}

fn spread(values: &[f64]) -> Option<f64> {
    let (smallest, largest) =
        (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    (values.len() > 1).then(|| (largest - smallest) / median(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_repetitions_not_that_of_the_medians() {
        let figure = Figure::beside("x", "us", &[10.0, 30.0, 12.0], &[10.0, 10.0, 12.0]);
        assert_eq!((figure.value, figure.floor, figure.ratio), (12.0, Some(10.0), Some(1.0)));
    }

    #[test]
    fn a_goal_holds_if_all_of_it_holds() {
        let figure = |bounds: &[Bound]| Figure::beside("x", "us", &[25.0], &[10.0]).goal(bounds);
        assert_eq!(figure(&[Bound::RatioAtMost(2.5)]).holds, Some(true));
        assert_eq!(figure(&[Bound::RatioAtMost(2.5), Bound::AtMost(24.0)]).holds, Some(false));
        assert_eq!(figure(&[Bound::FloorsPlus(2.0, 5.0)]).holds, Some(true));
        assert_eq!(figure(&[Bound::FloorsPlus(2.0, 4.0)]).holds, Some(false));
        assert_eq!(Figure::of("x", "us", &[1.0]).goal(&[Bound::RatioAtLeast(0.1)]).holds, Some(false));
        let goal = figure(&[Bound::RatioAtLeast(0.25), Bound::AtLeast(400.0)]).goal;
        assert_eq!(goal.as_deref(), Some("ratio >= 0.25 and value >= 400"));
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
