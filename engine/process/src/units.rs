//! Durations and sizes as people write them in files, variables and flags: `15s`, `64MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration written as whole numbers with units, largest first: `500ms`, `15s`, `1h30m`. Units: ms, s, m, h, d.
/// Resolution: 1 ms. A bare number is refused, because nobody can see whether it means seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// A number of bytes written as a whole number with a unit: `64MiB`, `1GB`, `4096B`. Units: B, KiB, MiB, GiB, TiB
/// (powers of 1024) and kB, MB, GB, TB (powers of 1000). A bare number is bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A text that is no duration or no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not `<number><unit>`, or the units do not fall from large to small.
    #[error("{text:?} is not a {what}; write it as {example}")]
    Syntax {
        /// What was read, cut to 40 characters.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
        /// Texts that would do.
        example: &'static str,
    },
    /// More than 64 bits can hold.
    #[error("{text:?} is too large a {what}")]
    TooLarge {
        /// What was read.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
    },
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const BINARY_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const DECIMAL_UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const WHAT: &str = "duration";
        let syntax = || UnitError::Syntax {
            text: text.chars().take(40).collect(),
            what: WHAT,
            example: "500ms, 15s, 10m, 24h, 7d or 1h30m",
        };
        let too_large = || UnitError::TooLarge { text: text.to_owned(), what: WHAT };
        if text == "0" {
            return Ok(Self::default());
        }
        let (mut rest, mut units, mut millis) = (text, DURATION_UNITS.as_slice(), 0_u64);
        while !rest.is_empty() {
            let (number, after) = leading_number(rest).ok_or_else(syntax)?;
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(syntax)?;
            let part =
                number.parse::<u64>().ok().and_then(|n| n.checked_mul(units[at].1)).ok_or_else(too_large)?;
            millis = millis.checked_add(part).ok_or_else(too_large)?;
            (rest, units) = (after, &units[at + 1..]);
        }
        if text.is_empty() { Err(syntax()) } else { Ok(Self(Duration::from_millis(millis))) }
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const WHAT: &str = "size";
        let syntax = || UnitError::Syntax {
            text: text.chars().take(40).collect(),
            what: WHAT,
            example: "4096B, 512KiB, 64MiB or 1GiB",
        };
        let (number, unit) = leading_number(text).ok_or_else(syntax)?;
        let scale = match unit {
            "" => 1,
            unit => {
                BINARY_UNITS
                    .iter()
                    .chain(&DECIMAL_UNITS)
                    .find(|(name, _)| *name == unit)
                    .ok_or_else(syntax)?
                    .1
            }
        };
        let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale));
        bytes.map(Self).ok_or_else(|| UnitError::TooLarge { text: text.to_owned(), what: WHAT })
    }
}

/// The leading ASCII digits and what follows them; `None` without a digit.
fn leading_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in DURATION_UNITS {
            let count = millis / u128::from(scale);
            if count > 0 {
                write!(f, "{count}{unit}")?;
                millis %= u128::from(scale);
            }
        }
        Ok(())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &&(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        let (unit, scale) = BINARY_UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// YAML reads `4096` as a number and `64MiB` as text.
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size such as 64MiB")]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(bytes) => Ok(Self(bytes)),
            Either::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[track_caller]
    fn duration(text: &str, millis: u64, shown: &str) {
        let parsed: HumanDuration = text.parse().unwrap();
        assert_eq!(parsed.0, Duration::from_millis(millis));
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(shown.parse::<HumanDuration>().unwrap(), parsed, "{shown} reads back as itself");
    }

    #[track_caller]
    fn size(text: &str, bytes: u64, shown: &str) {
        let parsed: ByteSize = text.parse().unwrap();
        assert_eq!(parsed.0, bytes);
        assert_eq!(parsed.to_string(), shown);
    }

    #[test]
    fn durations_have_units() {
        duration("15s", 15_000, "15s");
        duration("1500ms", 1_500, "1s500ms");
        duration("1h30m", 5_400_000, "1h30m");
        duration("24h", 86_400_000, "1d");
        duration("0", 0, "0s");
        for bad in ["", "15", "s", "1.5s", "-1s", "1s1h", "1s1s", "15 s", "10min"] {
            assert!(matches!(bad.parse::<HumanDuration>(), Err(UnitError::Syntax { .. })), "{bad:?}");
        }
        let huge = "99999999999999999999d".parse::<HumanDuration>();
        assert!(matches!(huge, Err(UnitError::TooLarge { .. })));
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        size("64MiB", 64 << 20, "64MiB");
        size("1GB", 1_000_000_000, "1000000000B");
        size("4096", 4096, "4KiB");
        size("0", 0, "0B");
        for bad in ["", "MiB", "1.5GiB", "-1", "1 MiB", "1mb"] {
            assert!(matches!(bad.parse::<ByteSize>(), Err(UnitError::Syntax { .. })), "{bad:?}");
        }
        assert!(matches!("99999999TiB".parse::<ByteSize>(), Err(UnitError::TooLarge { .. })));
    }

    #[test]
    fn yaml_may_hold_a_bare_number_of_bytes() {
        assert_eq!(serde_yaml_ng::from_str::<ByteSize>("4096").unwrap(), ByteSize(4096));
        assert_eq!(serde_yaml_ng::from_str::<ByteSize>("64MiB").unwrap(), ByteSize(64 << 20));
        assert!(serde_yaml_ng::from_str::<ByteSize>("-1").is_err());
    }
}
