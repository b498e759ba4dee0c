// SPDX-License-Identifier: Apache-2.0
//! Runs one of the system's programs: found, fed, and ended at a deadline.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// How much of a program's error output is kept.
const MAX_STDERR: u64 = 2048;
/// How much of its output is kept. A table with ten thousand rules has about a mebibyte.
const MAX_STDOUT: u64 = 16 << 20;
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
    let (printed, said) = tokio::join!(read(child.stdout.take(), MAX_STDOUT), read(child.stderr.take(), MAX_STDERR));
    let (printed, said) = (printed.map_err(Failure::Run)?, said.map_err(Failure::Run)?);
    let status = child.wait().await.map_err(Failure::Run)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&printed).into_owned());
    }
    let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Failure::Status(if said.is_empty() { status.to_string() } else { said }))
}

/// Reads to the end and keeps the start.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    if let Some(pipe) = pipe {
        let mut limited = pipe.take(most);
        limited.read_to_end(&mut start).await?;
        tokio::io::copy(&mut limited.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, deadline: Duration) -> Result<String, Failure> {
        run(&find("sh").expect("installed"), &["-c", script], "fed", deadline).await
    }

    #[tokio::test]
    async fn a_program_is_fed_and_its_output_or_its_complaint_is_kept_within_bounds() {
        let minute = Duration::from_secs(60);
        assert_eq!(sh("cat", minute).await.expect("runs"), "fed");
        let said =
            sh("echo a  lot >&2; head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3", minute).await.expect_err("fails");
        assert!(
            matches!(&said, Failure::Status(said) if said.starts_with("a lot xxx") && said.len() <= 2048),
            "{said:?}"
        );
        let long = sh("head -c 20000000 /dev/zero", minute).await.expect("runs");
        assert_eq!(long.len() as u64, MAX_STDOUT);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_and_one_that_is_absent_is_not_found() {
        let late = sh("exec sleep 60", Duration::from_millis(50)).await.expect_err("hangs");
        assert!(matches!(late, Failure::Deadline), "{late:?}");
        assert_eq!(find("no-such-program-at-all"), None);
    }
}
