// SPDX-License-Identifier: Apache-2.0
//! Everything that is printed: tables or JSON on standard output, remarks on standard error.
//!
//! A reader that goes away (`gorae ps | head -1`) ends the program quietly.

pub mod escape;
pub mod json;
pub mod table;

use anyhow::Result;
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// What `--format` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns and plain words.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// How this run of the program speaks.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Asked with `--format`.
    pub format: Format,
    /// Asked with `--quiet`: only ids, or nothing.
    pub quiet: bool,
}

impl Output {
    /// Prints a list: JSON of the rows, or their ids alone when quiet, or the table.
    pub fn list<T: Serialize>(
        &self,
        rows: &[T],
        id: impl Fn(&T) -> String,
        table: impl FnOnce(&[T]) -> String,
    ) -> Result<()> {
        match (self.format, self.quiet) {
            (Format::Json, _) => self.json(&rows),
            (_, true) => print(&rows.iter().map(|row| escape::plain(&id(row)).into_owned() + "\n").collect::<String>()),
            _ => print(&table(rows)),
        }
    }

    /// Prints one result: JSON, or the text.
    pub fn one(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => print(&text()),
        }
    }

    /// Prints what was acted on: a JSON list, or one name a line.
    pub fn done(&self, names: &[String]) -> Result<()> {
        match self.format {
            Format::Json => self.json(&names),
            Format::Table => {
                print(&names.iter().map(|name| escape::plain(name).into_owned() + "\n").collect::<String>())
            }
        }
    }

    /// Prints one JSON document.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        print(&json::text(value)?)
    }

    /// Says something about the work on standard error; nothing when quiet.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            remark(text);
        }
    }
}

/// Writes text to standard output at once.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Whether an error is that nobody reads the output any more: `gorae logs x | head` is no failure.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Writes a line to standard error; a closed standard error is nobody's problem.
pub fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", escape::lines(text)));
}
