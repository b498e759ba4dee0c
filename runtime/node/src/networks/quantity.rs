// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' quantities: `10M`, `1Mi`, `0.5G`, `1e6`.

/// What a suffix multiplies with: numerator and exponent of ten or two.
const SUFFIXES: [(&str, u128); 13] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("", 1),
];

/// The whole number that a quantity means, rounded up; `None` for what is none, is negative, or does not fit.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (number, factor) = split(text)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.len() <= 20 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let value = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<u128>().ok() };
    let scale = 10u128.pow(fraction.len() as u32);
    let fraction = value(fraction)?.checked_mul(factor)?.div_ceil(scale);
    let all = value(whole)?.checked_mul(factor)?.checked_add(fraction)?;
    u64::try_from(all).ok()
}

/// The number and what it is multiplied with.
fn split(text: &str) -> Option<(&str, u128)> {
    if let Some((number, exponent)) = text.split_once(['e', 'E']).filter(|(_, exponent)| !exponent.is_empty()) {
        let exponent: u32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
        return Some((number, 10u128.checked_pow(exponent)?));
    }
    SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, value) in [
            ("10M", 10_000_000),
            ("1Mi", 1 << 20),
            ("0.5G", 500_000_000),
            ("1e6", 1_000_000),
            ("1E3", 1_000),
            ("2E", 2_000_000_000_000_000_000),
            ("1000", 1000),
            ("+1k", 1000),
            (".5k", 500),
            ("1.", 1),
            ("0.0001", 1),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in ["", "M", "-1", "1m", "1 M", "1KiB", "0x10", "1e-3", "20E", "1.2.3", "1ee3", &"9".repeat(40)] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
