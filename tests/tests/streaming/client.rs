// SPDX-License-Identifier: Apache-2.0
//! crictl as a client of streams: started, fed, waited for, ended.

use gorae_tests::{Container, Crictl, Node};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// What crictl can speak.
pub const TRANSPORTS: [&str; 2] = ["spdy", "websocket"];
/// Longest run of one command.
const LIMIT: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

/// crictl, with one transport.
pub struct Client {
    crictl: Crictl,
    transport: &'static str,
    flags: Vec<String>,
}

impl Client {
    pub fn of(node: &Node, transport: &'static str) -> Client {
        Client { crictl: Crictl::of(node), transport, flags: Vec::new() }
    }

    /// The same, trusting no certificate but this one; crictl then wants one of its own, although the server does not ask for it.
    pub fn trusting(self, certificate: &Path, key: &Path) -> Client {
        let (certificate, key) = (certificate.display(), key.display());
        let flags = vec![
            format!("--tls-ca={certificate}"),
            format!("--tls-cert={certificate}"),
            format!("--tls-key={key}"),
            "--tls-sni=localhost".to_owned(),
        ];
        Client { flags, ..self }
    }

    /// The command `VERB --transport … WORDS`.
    pub fn command(&self, verb: &str, words: &[&str]) -> std::process::Command {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.crictl.command(&[&[verb, "--transport", self.transport], &flags[..], words].concat())
    }

    /// Starts it with pipes; it is killed with the test.
    pub fn spawn(&self, verb: &str, words: &[&str]) -> Child {
        let mut command = Command::from(self.command(verb, words));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("crictl starts")
    }

    /// Runs a command in a container, with this on its standard input.
    pub async fn exec_fed(&self, container: &Container, words: &[&str], input: &[u8]) -> Ran {
        let mut child = self.spawn("exec", &[&["-i", container.id()], words].concat());
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let feeding = tokio::spawn(async move { drop(stdin.write_all(&input).await) });
        let ran = ended(child).await;
        feeding.abort();
        ran
    }

    /// Runs a command in a container.
    pub async fn exec(&self, container: &Container, words: &[&str]) -> Ran {
        ended(self.spawn("exec", &[&[container.id()], words].concat())).await
    }

    /// Runs a shell script in a container, which must succeed, and returns what it wrote.
    pub async fn sh(&self, container: &Container, script: &str) -> String {
        let ran = self.exec(container, &["sh", "-c", script]).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{script}");
        String::from_utf8(ran.out).expect("text")
    }
}

/// Waits for a started command.
pub async fn ended(child: Child) -> Ran {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("crictl does not end within {LIMIT:?}")).expect("it ran");
    // crictl pings every five seconds, also in the moment in which it has answered our close: that is its own affair.
    let late_ping = |line: &&str| line.contains("Websocket Ping failed") && line.contains("websocket: close sent");
    let err = String::from_utf8_lossy(&output.stderr).split_inclusive('\n').filter(|line| !late_ping(line)).collect();
    Ran { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
}

/// A load's size: that of a usual run, or what the environment says for a full one.
pub fn load(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |n| n.parse().unwrap_or_else(|e| panic!("{name}={n:?}: {e}")))
}

/// Bytes that no compression or repetition hides a mistake in.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Open descriptors, threads and resident kilobytes of goraed.
pub fn daemon(node: &Node) -> [usize; 3] {
    let pid = node.daemon().pid().expect("goraed runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("goraed runs");
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel says it");
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().expect("a number")
    };
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("goraed runs").count();
    [descriptors, number("Threads"), number("VmRSS")]
}
