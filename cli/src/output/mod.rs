// SPDX-License-Identifier: Apache-2.0
//! Printing: tables or JSON go to standard output, remarks to standard error.
//!
//! When the reader goes away (`gorae ps | head -1`), the program ends quietly.

pub mod escape;
pub mod json;
pub mod table;

use anyhow::Result;
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns, for people
    #[default]
    Table,
    /// One JSON document, for programs
    Json,
}

/// How this run of the program prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// `--format`.
    pub format: Format,
    /// `--quiet`: only ids, and no remarks.
    pub quiet: bool,
}

impl Output {
    /// Prints a list: the rows as JSON, or only their ids when quiet, or a table.
    ///
    /// # Errors
    /// When standard output cannot be written.
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

    /// Prints one result: the value as JSON, or the text.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn one(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        match self.format {
            Format::Json => self.json(value),
            Format::Table => print(&text()),
        }
    }

    /// Prints the names of what was acted on: as a JSON list, or one per line.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn done(&self, names: &[String]) -> Result<()> {
        match self.format {
            Format::Json => self.json(&names),
            Format::Table => {
                print(&names.iter().map(|name| escape::plain(name).into_owned() + "\n").collect::<String>())
            }
        }
    }

    /// Prints one JSON document.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        print(&json::text(value)?)
    }

    /// Prints a remark about the work to standard error, unless quiet.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            remark(text);
        }
    }
}

/// Writes text to standard output and flushes it. If its reader has gone away, the program ends with 0.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Whether an error only means that the reader of the output has gone away: `gorae logs x | head` is not a failure.
pub fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Writes a line to standard error. A failure is ignored, because there is nowhere left to report it.
pub fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{}", escape::lines(text)));
}
