// SPDX-License-Identifier: Apache-2.0
//! The program `gorae` as a person uses it.

use gorae_tests::{Node, Terminal, place};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// Longest run of one command.
const LIMIT: Duration = Duration::from_secs(40);

/// The program, pointed at a node.
pub struct Gorae {
    host: String,
    logs: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Gorae {
    pub fn of(node: &Node) -> Gorae {
        let daemon = node.daemon();
        Gorae { host: format!("unix://{}", daemon.socket().display()), logs: daemon.root().join("logs") }
    }

    /// The program with these arguments; killed with the test.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(place::binary("gorae"));
        command.args(words).env("GORAE_HOST", &self.host).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it; output is for [`end_of`].
    pub fn spawn(&self, words: &[&str]) -> Child {
        self.command(words).spawn().expect("gorae starts")
    }

    /// Starts it on a terminal of this size.
    pub fn on_terminal(&self, words: &[&str], columns: u16, rows: u16) -> Terminal {
        Terminal::open(self.command(words).as_std(), columns, rows)
    }

    /// Runs it to its end.
    pub async fn run(&self, words: &[&str]) -> Ran {
        end_of(self.spawn(words)).await
    }

    /// Runs it to its end with this on its standard input.
    pub async fn fed(&self, words: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().expect("gorae starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let feeding = tokio::spawn(async move { drop(stdin.write_all(&input).await) });
        let ran = end_of(child).await;
        feeding.abort();
        ran
    }

    /// Runs it, and it has to succeed; returns what it printed, without the last line end.
    pub async fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words).await;
        assert_eq!(ran.code, 0, "{words:?} printed {:?} and {:?}", ran.out, ran.err);
        ran.out.trim_end_matches('\n').to_owned()
    }

    /// The same for JSON.
    pub async fn json(&self, words: &[&str]) -> serde_json::Value {
        let text = self.ok(&[words, &["--format", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?} printed no JSON ({e}): {text}"))
    }

    /// The same for a command that prints nothing else.
    pub async fn json_of(&self, words: &[&str]) -> serde_json::Value {
        let text = self.ok(words).await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{words:?} printed no JSON ({e}): {text}"))
    }

    /// Checks that nothing is left of any container, and removes the directory that the first one's log made.
    pub async fn leaves_nothing(&self) {
        assert_eq!(self.ok(&["ps", "-aq"]).await, "");
        assert_eq!(self.ok(&["pods", "-aq"]).await, "");
        std::fs::remove_dir(&self.logs).expect("rm removes the logs with their containers");
    }
}

/// Waits for a started command.
pub async fn end_of(child: Child) -> Ran {
    let output =
        tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("gorae ends in time").expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Sends a signal to a started command.
pub fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = i32::try_from(child.id().expect("runs")).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("is there");
}
