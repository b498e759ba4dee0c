// SPDX-License-Identifier: Apache-2.0
//! The floor program, one iteration at a time.

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running `gorae-floor --serve`.
pub struct Floor {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Floor {
    pub fn start(program: Option<&Path>) -> Result<Self> {
        let beside = || Ok::<PathBuf, anyhow::Error>(std::env::current_exe()?.with_file_name("gorae-floor"));
        let program = program.map_or_else(beside, |path| Ok(path.to_owned()))?;
        let child = Command::new(&program).arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("run {}", program.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a pipe was asked for")?);
        Ok(Self { child, input, output })
    }

    /// One pod and container; milliseconds of each phase and of their sums.
    pub fn iterate(&mut self) -> Result<Map<String, Value>> {
        self.input.as_mut().context("the pipe is open")?.write_all(b"\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the floor program failed, see above")
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // End of its input is its end.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
