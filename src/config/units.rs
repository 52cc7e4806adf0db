//! Durations and sizes as they are written in the configuration: `90s`, `5m`, `10MB`, `10MiB`.
//!
//! A number without a unit is refused, because it does not show whether it means seconds or
//! minutes.  Pure.

use std::time::Duration;

/// The units of time, with their seconds.
const TIMES: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400)];

/// The units of size, with their octets: decimal and binary ones (IEC 80000-13).
const SIZES: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// What is wrong with a duration or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It does not begin with an integer.
    Number,
    /// The number has no unit.
    NoUnit,
    /// The unit is not known.
    Unit,
    /// The number is too large.
    TooLarge,
}

impl Wrong {
    /// The fault of a duration, to follow "`timeout`: ".
    pub(super) fn of_duration(self) -> &'static str {
        match self {
            Wrong::Number => "not a duration: write an integer and a unit, such as 90s, 5m, 2h or 14d",
            Wrong::NoUnit => "the number has no unit: write 90s, 5m, 2h or 14d",
            Wrong::Unit => "the unit is not known: s, m, h, d and w are",
            Wrong::TooLarge => "too long",
        }
    }

    /// The fault of a size, to follow "`max-size`: ".
    pub(super) fn of_size(self) -> &'static str {
        match self {
            Wrong::Number => "not a size: write an integer and a unit, such as 10MB or 10MiB",
            Wrong::NoUnit => "the number has no unit: write 10MB or 10MiB (or an integer of octets without quotes)",
            Wrong::Unit => "the unit is not known: B, kB, KiB, MB, MiB, GB and GiB are",
            Wrong::TooLarge => "too large",
        }
    }
}

/// Reads a duration such as `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    scaled(text, &TIMES).map(Duration::from_secs)
}

/// Reads a size in octets, such as `10MiB`.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    scaled(text, &SIZES)
}

/// A duration as it would be written in the configuration.
pub(super) fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // Weeks are read but not written: 14d is what the manual shows.
    let unit = TIMES[..4].iter().rev().find(|(_, scale)| seconds > 0 && seconds.is_multiple_of(*scale));
    let (unit, scale) = unit.copied().unwrap_or(("s", 1));
    format!("{}{unit}", seconds / scale)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Wrong::Number);
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(Wrong::NoUnit);
    }
    let (_, scale) = units.iter().find(|(name, _)| *name == unit).ok_or(Wrong::Unit)?;
    let number: u64 = number.parse().map_err(|_| Wrong::TooLarge)?;
    // A value that does not fit into an i64 cannot be added to a clock or stored.
    number.checked_mul(*scale).filter(|&value| i64::try_from(value).is_ok()).ok_or(Wrong::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_an_integer_and_a_unit() {
        for (text, want) in [
            ("90s", Ok(90)),
            ("5m", Ok(300)),
            ("2h", Ok(7200)),
            ("14d", Ok(1_209_600)),
            ("1w", Ok(604_800)),
            (" 5 m ", Ok(300)),
            ("0s", Ok(0)),
            ("5", Err(Wrong::NoUnit)),
            ("", Err(Wrong::Number)),
            ("-5m", Err(Wrong::Number)),
            ("m", Err(Wrong::Number)),
            ("1.5h", Err(Wrong::Unit)),
            ("5M", Err(Wrong::Unit)),
            ("1h30m", Err(Wrong::Unit)),
            ("99999999999999999999s", Err(Wrong::TooLarge)),
            ("9223372036854775807w", Err(Wrong::TooLarge)),
            ("9223372036854775808s", Err(Wrong::TooLarge)),
        ] {
            assert_eq!(duration(text), want.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_size_is_an_integer_and_a_decimal_or_binary_unit() {
        for (text, want) in [
            ("10B", Ok(10)),
            ("10kB", Ok(10_000)),
            ("10KB", Ok(10_000)),
            ("10KiB", Ok(10_240)),
            ("10MB", Ok(10_000_000)),
            ("10MiB", Ok(10_485_760)),
            ("1GB", Ok(1_000_000_000)),
            ("1 GiB", Ok(1_073_741_824)),
            ("10", Err(Wrong::NoUnit)),
            ("10mb", Err(Wrong::Unit)),
            ("ten", Err(Wrong::Number)),
            ("99999999999GiB", Err(Wrong::TooLarge)),
        ] {
            assert_eq!(size(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_written_with_its_largest_whole_unit() {
        for text in ["1s", "90s", "5m", "36h", "14d", "0s"] {
            assert_eq!(duration(text).map(written).as_deref(), Ok(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn every_duration_is_read_as_it_is_written(seconds in 0..i64::MAX.cast_unsigned()) {
            let duration_in_seconds = Duration::from_secs(seconds);
            proptest::prop_assert_eq!(duration(&written(duration_in_seconds)), Ok(duration_in_seconds));
        }

        #[test]
        fn a_number_with_a_unit_is_their_product_or_too_large(number in 0_u64.., unit in 0..SIZES.len(), space in " {0,2}") {
            let (name, scale) = SIZES[unit];
            let product = u128::from(number) * u128::from(scale);
            let want = i64::try_from(product).map(i64::cast_unsigned).map_err(|_| Wrong::TooLarge);
            proptest::prop_assert_eq!(size(&format!("{space}{number}{space}{name}{space}")), want);
        }
    }
}
