// SPDX-License-Identifier: Apache-2.0
//! A page of metrics in the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, from zero at the daemon's start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// A page that is being written: one family after another, each with its samples.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family; `help` is one sentence.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {}", escaped(help, &[])));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// Writes one sample of the family that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let all: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value, &['"']))).collect();
        match all.as_slice() {
            [] => self.line(format_args!("{name} {value}")),
            all => self.line(format_args!("{name}{{{}}} {value}", all.join(","))),
        }
    }

    /// Writes a family with one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The text of the page.
    pub fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// Escapes backslashes, the characters in `more`, and line breaks (as `\n`).
fn escaped(text: &str, more: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            c if c == '\\' || more.contains(&c) => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_header_and_samples_and_no_value_breaks_a_line() {
        let mut page = Page::default();
        page.single("up_seconds", Kind::Gauge, "How long.\nAnd \"more\".", 1.5);
        page.family("calls_total", Kind::Counter, "Calls.");
        page.sample("calls_total", &[("method", "a\"b\\c\nd"), ("code", "OK")], 3);
        assert_eq!(
            page.into_text(),
            "# HELP up_seconds How long.\\nAnd \"more\".\n# TYPE up_seconds gauge\nup_seconds 1.5\n\
             # HELP calls_total Calls.\n# TYPE calls_total counter\n\
             calls_total{method=\"a\\\"b\\\\c\\nd\",code=\"OK\"} 3\n"
        );
    }
}
