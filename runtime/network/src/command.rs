// SPDX-License-Identifier: Apache-2.0
//! Runs one of the system's programs: found, fed, and ended at a deadline.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// How much of a program's error output is kept.
const MAX_STDERR: usize = 2048;
/// Where programs are searched for after PATH, because services often start with a short one.
const USUAL_DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// Why a program gave no result.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started, or its pipes failed.
    Run(std::io::Error),
    /// It did not exit in time and was killed.
    Deadline,
    /// It failed, and said this.
    Status(String),
}

/// Finds a program.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = USUAL_DIRS.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Runs a program and returns what it printed.
///
/// - Cancel: it is killed.
///
/// # Errors
/// [`Failure`]. Only after `Deadline` is it unknown what it did.
pub async fn run(program: &Path, arguments: &[&str], input: &str, deadline: Duration) -> Result<String, Failure> {
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::Run)?;
    tokio::time::timeout(deadline, feed(child, input)).await.unwrap_or(Err(Failure::Deadline))
}

async fn feed(mut child: Child, input: &str) -> Result<String, Failure> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program that exits before it has read everything explains why on stderr.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(Failure::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = &output.stderr[..output.stderr.len().min(MAX_STDERR)];
    let said = String::from_utf8_lossy(said).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Failure::Status(if said.is_empty() { output.status.to_string() } else { said }))
}
