// SPDX-License-Identifier: Apache-2.0
//! exec, attach and port-forward through kubelet, by the program `kubelet-stream`: kubectl's library without an API
//! server between.

use super::api::Api;
use super::pod::StaticPod;
use super::process::Kubelet;
use crate::{Output, place};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest session.
const LIMIT: Duration = Duration::from_secs(30);

/// How bytes travel between client and kubelet; between kubelet and runtime it is SPDY in any case, or what came.
#[derive(Debug, Clone, Copy)]
pub enum Transport {
    /// SPDY/3.1.
    Spdy,
    /// WebSocket with `v5.channel.k8s.io`, or with SPDY inside for ports.
    WebSocket,
}

/// Both.
pub const TRANSPORTS: [Transport; 2] = [Transport::Spdy, Transport::WebSocket];

/// A client of a kubelet's streams.
#[derive(Debug, Clone)]
pub struct Streams {
    api: Api,
    transport: Transport,
}

/// A forwarded port.
#[derive(Debug)]
pub struct Forward {
    /// `127.0.0.1:PORT` of the client's end.
    pub address: String,
    child: Child,
    stdin: ChildStdin,
    // The client prints a line for each connection, and would end if its output were closed.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Forward {
    /// Ends the session; panics when that takes too long or the client failed.
    pub async fn end(mut self) {
        drop(self.stdin);
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await.expect("the client ends in time");
        assert!(ended.as_ref().is_ok_and(std::process::ExitStatus::success), "{ended:?}");
    }
}

impl Kubelet {
    /// A client of its streams.
    #[must_use]
    pub fn streams(&self, transport: Transport) -> Streams {
        Streams { api: self.api().clone(), transport }
    }
}

impl Streams {
    fn command(&self, verb: &str, path: &str) -> Command {
        let transport = match self.transport {
            Transport::Spdy => "spdy",
            Transport::WebSocket => "websocket",
        };
        let mut command = Command::new(place::tool("kubelet-stream"));
        command.args([transport, verb, &self.api.url(path)]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command in a container with this on its standard input; panics when it does not end in time.
    pub async fn exec(&self, pod: &StaticPod, container: &str, words: &[&str], input: &str) -> Output {
        let words: Vec<_> = words.iter().map(|word| format!("command={}", escaped(word))).collect();
        let more = format!("/{container}?input=1&output=1&error=1&{}", words.join("&"));
        self.join("exec", &pod.path("exec", &more), input).await
    }

    /// Joins a container's own streams, with this on its standard input; panics when it does not end in time.
    pub async fn attach(&self, pod: &StaticPod, container: &str, input: &str) -> Output {
        let more = format!("/{container}?input=1&output=1&error=1");
        self.join("attach", &pod.path("attach", &more), input).await
    }

    async fn join(&self, verb: &str, path: &str, input: &str) -> Output {
        let mut child = self.command(verb, path).spawn().expect("kubelet-stream starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that ends early does not take everything.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let done = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let done = done.unwrap_or_else(|_| panic!("{verb} of {path} by {:?} did not end", self.transport));
        let done = done.expect("kubelet-stream ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output { stdout: text(&done.stdout), stderr: text(&done.stderr), code: done.status.code().unwrap_or(-1) }
    }

    /// Forwards a port of a pod; panics when that does not begin in time.
    pub async fn forward(&self, pod: &StaticPod, port: u16) -> Forward {
        let mut command = self.command("forward", &pod.path("portForward", ""));
        let mut child = command.arg(port.to_string()).stderr(Stdio::inherit()).spawn().expect("kubelet-stream starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("no port is forwarded by {:?}", self.transport));
        let line = line.expect("the output is text").expect("kubelet-stream says where it listens");
        let address = line.split(' ').find(|word| word.starts_with("127.0.0.1:"));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        let stdin = child.stdin.take().expect("piped");
        Forward { address, child, stdin, _stdout: lines }
    }
}

/// A word as part of a query.
fn escaped(word: &str) -> String {
    let escape =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    word.bytes().map(escape).collect()
}
