// SPDX-License-Identifier: Apache-2.0
//! `crictl port-forward`, running, and small servers of the node for it to reach.

use crate::client::Client;
use gorae_tests::Pod;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// A local port at a pod's, for as long as this lives.
pub struct Forwarded {
    /// Where crictl listens.
    pub local: String,
    _child: Child,
}

impl Forwarded {
    /// Forwards a free local port to a pod's.
    pub async fn start(client: &Client, pod: &Pod, port: u16) -> Forwarded {
        let mut child = client.spawn("port-forward", &[pod.id(), &format!("0:{port}")]);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let told = async {
            while let Some(line) = lines.next_line().await.expect("a pipe can be read") {
                if let Some(rest) = line.strip_prefix("Forwarding from 127.0.0.1:") {
                    return rest.split(' ').next().expect("a port").to_owned();
                }
            }
            panic!("crictl port-forward ended");
        };
        let local = tokio::time::timeout(Duration::from_secs(20), told).await.expect("crictl listens in time");
        // What it prints from now on must go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Forwarded { local: format!("127.0.0.1:{local}"), _child: child }
    }

    /// Connects through it, on a thread that may block, for at most a minute a step.
    pub async fn talk<T: Send + 'static>(&self, talk: impl FnOnce(TcpStream) -> T + Send + 'static) -> T {
        let stream = TcpStream::connect(&self.local).expect("crictl listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has timeouts");
        stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a socket has timeouts");
        tokio::task::spawn_blocking(move || talk(stream)).await.expect("the talk goes well")
    }
}

/// Serves each connection to a fresh port of this network namespace, on threads that end with the test.
pub fn server(address: &str, serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind(address).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Sends back what comes, and its end.
pub fn echo(mut stream: TcpStream) {
    let mut reader = stream.try_clone().expect("a socket can be cloned");
    // The client may go first.
    let _ = std::io::copy(&mut reader, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
}

/// Sends all, says that it is all, and reads the whole answer.
pub fn ask(mut stream: TcpStream, all: &[u8]) -> Vec<u8> {
    let mut writer = stream.try_clone().expect("a socket can be cloned");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(all).expect("the way is open");
            writer.shutdown(Shutdown::Write).expect("the way is open");
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer comes");
        answer
    })
}
