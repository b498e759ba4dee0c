// SPDX-License-Identifier: Apache-2.0
//! `--memory 512m` and `--cpus 1.5`.

use anyhow::{Context, Result, bail, ensure};

/// The lowest memory limit: with less, not even the start of a container fits.
const LEAST_MEMORY_BYTES: i64 = 6 << 20;

/// The CFS period for which `--cpus` gives a quota, in microseconds.
pub const CPU_PERIOD_US: i64 = 100_000;

/// Reads a size: a decimal number and an optional unit (`b`, `k`, `m`, `g`, `t` in either case, optionally followed by
/// `b` or `ib`). Units are powers of 1024, as in Docker. The result is in bytes, rounded down; `None` means no limit,
/// which is written 0.
///
/// # Errors
/// When the text has another form, or the size is below 6 MiB or too large.
pub fn memory(text: &str) -> Result<Option<i64>> {
    let read = || {
        let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number = &text[..digits];
        ensure!(digits > 0, "it does not begin with a number");
        let shift = match text[digits..].to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            unit => bail!("unknown unit {unit:?}"),
        };
        if is_zero(number) {
            return Ok(None);
        }
        let bytes = scaled(number, shift)?;
        ensure!(bytes >= LEAST_MEMORY_BYTES, "the least is 6m: with less memory nothing can start");
        Ok(Some(bytes))
    };
    read().with_context(|| format!("bad size {text:?}: the form is a number and b, k, m, g or t"))
}

/// Whether a decimal number is exactly 0: `0`, `0.0`, `.0`.
fn is_zero(number: &str) -> bool {
    number.parse() == Ok(0.0) && !number.bytes().any(|b| b.is_ascii_digit() && b != b'0')
}

/// Multiplies a decimal number by a power of two. The result is exact for whole numbers of any size.
fn scaled(number: &str, shift: u32) -> Result<i64> {
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(1 << shift).context("it is too large");
    }
    let decimal: f64 = number.parse().with_context(|| format!("{number:?} is not a number"))?;
    let bytes = decimal * (1_i64 << shift) as f64;
    ensure!(bytes < i64::MAX as f64, "it is too large");
    Ok(bytes as i64)
}

/// Reads a number of processors and gives the CFS quota: microseconds of processor time per [`CPU_PERIOD_US`]. `None` means
/// no limit, which is written 0.
///
/// # Errors
/// When the text is not a plain decimal number between 0.01 and 4096.
pub fn cpus(text: &str) -> Result<Option<i64>> {
    let read = || {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        ensure!(plain, "it is not a plain decimal number");
        if is_zero(text) {
            return Ok(None);
        }
        let cpus: f64 = text.parse().context("it is not a number")?;
        ensure!((0.01..=4096.0).contains(&cpus), "it must be between 0.01 and 4096");
        Ok(Some((cpus * CPU_PERIOD_US as f64).round() as i64))
    };
    read().with_context(|| format!("bad number of processors {text:?}: the form is 2 or 0.5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let rows =
            [("8388608", 8 << 20), ("8388608b", 8 << 20), ("8192k", 8 << 20), ("64m", 64 << 20), ("64MiB", 64 << 20)];
        for (text, bytes) in rows.into_iter().chain([("2g", 2 << 30), ("2GB", 2 << 30), ("1t", 1 << 40)]) {
            assert_eq!(memory(text).expect(text), Some(bytes), "{text}");
        }
        let decimal = [("0.5g", 512 << 20), ("1.5GiB", 1536 << 20), (".25g", 256 << 20), ("64.m", 64 << 20)];
        for (text, bytes) in decimal.into_iter().chain([("8388608.9", 8 << 20)]) {
            assert_eq!(memory(text).expect(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "m",
            "-1",
            ".",
            ".g",
            "1.2.3g",
            "1e9",
            "0.001m",
            "0.1b",
            "-0",
            "64 m",
            "64x",
            "5m",
            "9223372036854775807k",
            "9999999999.5t",
            "٣m",
        ] {
            assert!(memory(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn zero_means_no_limit() {
        for text in ["0", "0m", "0.0g", ".0", "00b"] {
            assert_eq!(memory(text).expect(text), None, "{text}");
        }
        for text in ["0", "0.0", ".0", "00"] {
            assert_eq!(cpus(text).expect(text), None, "{text}");
        }
    }

    #[test]
    fn processors_become_a_quota() {
        for (text, quota) in [("1", 100_000), ("1.5", 150_000), ("0.01", 1_000), (".5", 50_000), ("2.", 200_000)] {
            assert_eq!(cpus(text).expect(text), Some(quota), "{text}");
        }
        for text in ["", "0.001", "-1", "-0", ".", "+1", "1e3", "NaN", "inf", "1.2.3", "5000"] {
            assert!(cpus(text).is_err(), "{text:?} was taken");
        }
    }
}
