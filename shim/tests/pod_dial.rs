// SPDX-License-Identifier: Apache-2.0
//! Tests connections to localhost inside a pod.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{DialPod, Failure, reply, request::Verb};
use pods::{Node, Pod, one_shot};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

fn dial(pod: &Pod, port: u16) -> Result<TcpStream, Failure> {
    dial_at(pod.pin("net").display().to_string(), port)
}

fn dial_at(netns: String, port: u16) -> Result<TcpStream, Failure> {
    let (body, mut fds): (_, Vec<OwnedFd>) =
        one_shot("dial-pod", Verb::DialPod(DialPod { netns, port: port.into(), timeout_ms: 2_000 }));
    match body {
        reply::Body::Dialed(_) => {
            assert_eq!(fds.len(), 1);
            let socket = TcpStream::from(fds.remove(0));
            socket.set_nonblocking(false).unwrap();
            Ok(socket)
        }
        reply::Body::Failure(failure) => Err(failure),
        other => panic!("unexpected reply {other:?}"),
    }
}

#[test]
fn a_port_in_the_pod_is_reached_over_ipv4_and_then_ipv6() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let listener = pod.inside(&["net"], || TcpListener::bind(address).unwrap());
        let port = listener.local_addr().unwrap().port();
        let mut ours = dial(&pod, port).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        ours.write_all(b"hello").unwrap();
        drop(ours);
        let mut word = String::new();
        theirs.read_to_string(&mut word).unwrap();
        assert_eq!(word, "hello");
    }
    pod.clean();
    pod.assert_clean();
}

#[test]
fn a_closed_port_is_refused_and_a_wrong_one_is_not_tried() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let refused = dial(&pod, 9).unwrap_err();
    assert_eq!(refused.message, "connect to 127.0.0.1:9: connection refused");
    let (body, _) = one_shot("dial-pod", Verb::DialPod(DialPod { port: 70_000, ..DialPod::default() }));
    assert!(matches!(body, reply::Body::Failure(f) if f.kind() == Kind::InvalidArgument));
    let gone = dial_at(format!("{}/ns/none", pod.run_dir.display()), 80).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn a_port_that_does_not_answer_times_out() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    // A listener whose backlog is full drops new connections.
    let listener = pod.inside(&["net"], || TcpListener::bind("127.0.0.1:0").unwrap());
    rustix::net::listen(&listener, 0).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut taken = Vec::new();
    let failure = loop {
        match dial(&pod, port) {
            Ok(socket) => taken.push(socket),
            Err(failure) => break failure,
        }
        assert!(taken.len() < 10);
    };
    // IPv4 times out; nothing listens on IPv6.
    assert_eq!(failure.kind(), Kind::DeadlineExceeded, "{failure:?}");
    pod.clean();
}

#[test]
fn a_pod_of_the_node_is_dialed_where_the_daemon_is() {
    let _node = Node::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(dial_at(String::new(), listener.local_addr().unwrap().port()).is_ok());
}
