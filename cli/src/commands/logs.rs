// SPDX-License-Identifier: Apache-2.0
//! `gorae logs`.

use crate::client::{Client, Detail};
use crate::clock::now;
use crate::context::Context;
use crate::logs::follow::follow;
use crate::logs::print::{Form, Printer};
use crate::logs::source::Source;
use crate::logs::tail::offset_of_last;
use crate::output::Format;
use crate::parse::since::since;
use crate::{exit, failure, lookup, output};
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri::ContainerState;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tonic::Code;

/// The arguments of `logs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep printing new output until the container exits
    #[arg(short, long)]
    follow: bool,
    /// Show only this many lines from the end, or all
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<Tail>,
    /// Show only output since this time: a date or time (2026-11-21, 2026-11-21T06:00, RFC 3339), seconds since 1970, or
    /// how long ago, such as 10m or 1.5h
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    since: Option<String>,
    /// Show the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Name or id of a container
    container: String,
}

/// `--tail`: a number of lines, or `None` for all of them.
#[derive(Debug, Clone, Copy)]
struct Tail(Option<u64>);

impl std::str::FromStr for Tail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(None)),
            _ => text.parse().map(|n| Self(Some(n))).map_err(|_| "the form is a number or \"all\"".to_owned()),
        }
    }
}

/// Prints the log file whose path the daemon reports.
///
/// # Errors
/// When `--since` is not a time; when the container does not exist, has no log or was never started; when the log
/// cannot be read or printed. It is not an error if the reader of the output has gone.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let moment = |text| since(text, now(), &jiff::tz::TimeZone::system());
    let since = args.since.as_deref().map(moment).transpose()?.unwrap_or(0);
    let client = context.connect().await?;
    let container = lookup::container(&client, &args.container).await?;
    let status = client
        .container_status(&container.id, Detail::Plain)
        .await?
        .status
        .context("the daemon's response has no status")?;
    ensure!(!status.log_path.is_empty(), "container {} was made without a log", args.container);
    ensure!(status.state() != ContainerState::ContainerCreated, "container {} was never started", args.container);
    let path = Path::new(&status.log_path);
    let file = File::open(path).with_context(|| format!("open log {}", path.display()))?;
    let offset = match args.tail.and_then(|tail| tail.0) {
        Some(lines) => offset_of_last(&file, lines).with_context(|| format!("read log {}", path.display()))?,
        None => 0,
    };
    let form = match (context.output.format, args.timestamps) {
        (Format::Json, _) => Form::Json,
        (_, true) => Form::Timed,
        (_, false) => Form::Plain,
    };
    let mut printer = Printer::new(std::io::stdout(), std::io::stderr(), since, form);
    let result = if args.follow {
        follow(path, offset, &mut printer, ended(&client, &container.id)).await
    } else {
        once(path, offset, &mut printer)
    };
    if printer.malformed() > 0 {
        output::remark(&format!(
            "gorae: {} lines of {} are not log records, and were left out",
            printer.malformed(),
            path.display()
        ));
    }
    match result {
        Err(error) if output::reader_is_gone(&error) => Ok(0),
        other => other.map(|()| 0),
    }
}

/// Waits until the container has exited or was removed.
async fn ended(client: &Client, id: &str) -> Result<()> {
    match exit::wait(client, id).await {
        Err(error) if failure::code(&error) == Some(Code::NotFound) => Ok(()),
        other => other.map(drop),
    }
}

fn once<O: Write, E: Write>(path: &Path, offset: u64, printer: &mut Printer<O, E>) -> Result<()> {
    let mut read = || {
        Source::open(path, offset)?.drain(&mut |line| printer.line(line))?;
        printer.flush()
    };
    read().with_context(|| format!("read log {}", path.display()))
}
