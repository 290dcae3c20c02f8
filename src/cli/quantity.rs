// SPDX-License-Identifier: GPL-2.0-or-later
//! Amounts as short words for tables, in SI units with one decimal. Digits that do not fit are cut
//! off, not rounded, so that 999.99 kB does not become 1000.0 kB. No floating point: printing it
//! would bring its tables into the binary.

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// Bytes: `999B`, `1.5kB`.
pub fn bytes(bytes: u64) -> String {
    let mut scale = 1u64;
    let mut shown = format!("{bytes}B");
    for unit in UNITS {
        scale = scale.saturating_mul(1000);
        if bytes < scale {
            break;
        }
        let tenths = bytes / (scale / 10);
        shown = format!("{}.{}{unit}", tenths / 10, tenths % 10);
    }
    shown
}

/// Bytes a second: `1.5kB/s`.
pub fn rate(bytes_a_second: u64) -> String {
    format!("{}/s", bytes(bytes_a_second))
}

/// A time as its greatest unit: `59s`, `7m`, `23h`, `49d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        for (amount, wanted) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.0kB"),
            (1999, "1.9kB"),
            (999_999, "999.9kB"),
            (1_000_000, "1.0MB"),
            (12_345_678_901, "12.3GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(bytes(amount), wanted);
        }
        assert_eq!(rate(1500), "1.5kB/s");
    }

    #[test]
    fn ages_have_one_unit() {
        for (seconds, wanted) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (86_399, "23h"), (86_400, "1d")]
        {
            assert_eq!(age(seconds), wanted);
        }
    }
}
