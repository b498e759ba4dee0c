// SPDX-License-Identifier: Apache-2.0
//! Tables for people: columns without borders, one line per row, cells that are harmless to a terminal.

use crate::output::escape;
use comfy_table::{ContentArrangement, Table, presets};

/// Formats rows under their headings. Cells are escaped here.
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::plain(cell).into_owned()));
    }
    for index in 0..N {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 3));
        }
    }
    let mut out: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    if out.is_empty() {
        out.push('\n');
    }
    out
}

/// Formats a size with three digits, in powers of 1000 as disks and registries count: `4.25 MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// The short form of an id: its first twelve digits, without the algorithm.
pub fn short(id: &str) -> String {
    let digits = id.rsplit_once(':').map_or(id, |(_, digits)| digits);
    digits.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_harmless() {
        let text = table(["NAME", "IMAGE"], [["a".into(), "evil\x1b[2J\nimage".into()], ["longer".into(), "b".into()]]);
        assert_eq!(text, "NAME     IMAGE\na        evil\\x1b[2J\\nimage\nlonger   b\n");
    }

    #[test]
    fn a_table_without_rows_is_its_headings() {
        assert_eq!(table(["A", "B"], []), "A   B\n");
    }

    #[test]
    fn sizes_have_three_digits() {
        let rows = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (4_255_000, "4.25 MB"),
            (999_999, "1.00 MB"),
            (12_340_000_000, "12.3 GB"),
        ];
        for (bytes, shown) in rows {
            assert_eq!(size(bytes), shown);
        }
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short("abc"), "abc");
    }
}
