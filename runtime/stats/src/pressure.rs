// SPDX-License-Identifier: Apache-2.0
//! Pressure stall information. Source: kernel Documentation/accounting/psi.rst.

use gorae_proto::cri::{PsiData, PsiStats};

/// Reads a pressure file. Totals become nanoseconds, as the CRI has them; the kernel counts microseconds.
pub(super) fn parse(text: &str) -> Option<PsiStats> {
    let line = |kind: &str| text.lines().find_map(|line| data(line.strip_prefix(kind)?));
    let stats = PsiStats { full: line("full "), some: line("some ") };
    (stats.full.is_some() || stats.some.is_some()).then_some(stats)
}

fn data(line: &str) -> Option<PsiData> {
    let mut data = PsiData::default();
    for field in line.split(' ') {
        let (key, value) = field.split_once('=')?;
        match key {
            "avg10" => data.avg10 = value.parse().ok()?,
            "avg60" => data.avg60 = value.parse().ok()?,
            "avg300" => data.avg300 = value.parse().ok()?,
            "total" => data.total = value.parse::<u64>().ok()?.saturating_mul(1000),
            _ => {}
        }
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_nanoseconds_and_a_missing_line_stays_missing() {
        let stats = parse("some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\n").unwrap();
        let some = stats.some.unwrap();
        assert_eq!((some.total, some.avg10, some.avg60), (1_234_000, 1.5, 0.25));
        assert_eq!(stats.full, None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("some avg10=x"), None);
    }
}
