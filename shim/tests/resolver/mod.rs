// SPDX-License-Identifier: Apache-2.0
//! A name server under test, containers that ask it, and servers of the host that answer as a test wants.

#![allow(dead_code)] // Each test binary uses only a part.

use crate::driver::{Line, Shim};
use crate::pods::{Node, Pod, one_shot};
use gorae_proto::shim::*;
use hickory_proto::op::{self, Message, MessageType, OpCode};
use hickory_proto::rr::{Name, RecordType};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// Where containers ask.
pub const SERVER: &str = "127.0.0.11:53";
/// Longer than all servers of the host may take.
pub const PATIENCE: Duration = Duration::from_secs(14);

/// A node with a name server.
pub struct Stage {
    pub node: Node,
    pub server: Shim,
}

impl Stage {
    pub fn new() -> Self {
        Self::lingering(60_000)
    }

    pub fn lingering(linger_ms: u32) -> Self {
        let node = Node::new();
        let mut server = Shim::spawn("serve-names", "node");
        let serve = ServeNames { state_dir: node.dir.path().display().to_string(), linger_ms };
        done(&mut server.line, request::Verb::ServeNames(serve));
        Self { node, server }
    }

    pub fn socket(&self) -> PathBuf {
        self.node.dir.path().join("names.sock")
    }

    /// Connects again, as another daemon does.
    pub fn connect(&self) -> Line {
        Line::new(std::os::unix::net::UnixStream::connect(self.socket()).expect("it listens").into())
    }

    pub fn set(&mut self, networks: Vec<NameNetwork>, servers: &[SocketAddr]) {
        let servers = servers.iter().map(ToString::to_string).collect();
        done(&mut self.server.line, request::Verb::SetNames(SetNames { networks, servers, ..SetNames::default() }));
    }

    /// A container with a network namespace of its own, as a client.
    pub fn container(&mut self, id: &str) -> Pod {
        let mut pod = self.node.pod();
        pod.request.network = None;
        pod.setup();
        self.add(&pod, id, 0);
        pod
    }

    /// Opens the sockets of a container and hands them over. Returns the port.
    pub fn add(&mut self, pod: &Pod, id: &str, port: u32) -> u32 {
        let (opened, sockets) = open(pod, port);
        assert_eq!(opened.untranslated, "");
        self.hand_over(id, &sockets);
        opened.port
    }

    pub fn hand_over(&mut self, id: &str, sockets: &[OwnedFd]) {
        let add = request::Verb::AddNameClient(AddNameClient { container_id: id.into() });
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let reply = self.server.line.ask_with(add, &fds).0;
        assert!(matches!(reply, reply::Body::Done(_)), "{reply:?}");
    }

    pub fn counters(&mut self) -> NameCounters {
        match self.server.line.ask(request::Verb::CountNames(CountNames {})).0 {
            reply::Body::NameCounters(counters) => counters,
            other => panic!("{other:?}"),
        }
    }

    /// What it has used of a processor, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.server.process.id())).expect("it lives");
        let fields = stat.rsplit_once(") ").expect("a name").1.split(' ').skip(11).take(2);
        fields.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.server.process.kill();
        let _ = self.server.process.wait();
    }
}

/// Opens the sockets of a container's name server.
pub fn open(pod: &Pod, port: u32) -> (NamesOpened, Vec<OwnedFd>) {
    let netns = pod.pin("net").display().to_string();
    match one_shot("open-names", request::Verb::OpenNames(OpenNames { netns, port })) {
        (reply::Body::NamesOpened(opened), sockets) if sockets.len() == 2 => (opened, sockets),
        other => panic!("{other:?}"),
    }
}

pub fn done(line: &mut Line, verb: request::Verb) {
    let reply = line.ask(verb).0;
    assert!(matches!(reply, reply::Body::Done(_)), "{reply:?}");
}

/// A network of containers, each with its names and addresses.
pub fn network(name: &str, members: &[(&str, &[&str], &[&str])]) -> NameNetwork {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let member = |(id, names, addresses): &(&str, &[&str], &[&str])| NameMember {
        container_id: id.to_string(),
        names: texts(names),
        addresses: texts(addresses),
        rank: 0,
    };
    NameNetwork { name: name.into(), internal: false, members: members.iter().map(member).collect() }
}

/// A question; with a size, that of the datagrams that the sender takes.
pub fn question(name: &str, kind: RecordType, size: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(0x4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(op::Query::query(Name::from_ascii(name).expect("a name"), kind));
    if let Some(size) = size {
        let mut edns = op::Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message.to_vec().expect("it is small")
}

/// An answer in short: its code, and what its records say, sorted.
pub fn said(answer: &[u8]) -> (u16, Vec<String>) {
    let answer = Message::from_vec(answer).expect("an answer");
    assert_eq!((answer.metadata.id, answer.metadata.message_type), (0x4711, MessageType::Response));
    let mut records: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    records.sort();
    (answer.metadata.response_code.into(), records)
}

/// Owned texts, to compare with what [`said`] returns.
pub fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Asks from where the thread is.
pub fn ask_here(question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    socket.connect(SERVER).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.send(question).expect("send");
    let mut buffer = vec![0; 0xffff];
    let length = socket.recv(&mut buffer).expect("an answer");
    buffer.truncate(length);
    buffer
}

pub fn connect_here() -> TcpStream {
    let stream = TcpStream::connect(SERVER).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

pub fn write_framed(stream: &mut TcpStream, message: &[u8]) {
    let length = (message.len() as u16).to_be_bytes();
    stream.write_all(&[&length, message].concat()).expect("send");
}

/// The next message; `None` at the end of the connection.
pub fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Asks in a container, by datagram.
pub fn ask(pod: &Pod, name: &str, kind: RecordType) -> (u16, Vec<String>) {
    let question = question(name, kind, None);
    said(&pod.inside(&["net"], || ask_here(&question)))
}

/// Asks in a container, on a connection.
pub fn ask_on_stream(pod: &Pod, question: &[u8]) -> Vec<u8> {
    pod.inside(&["net"], || {
        let mut stream = connect_here();
        write_framed(&mut stream, question);
        read_framed(&mut stream).expect("an answer")
    })
}

/// A server of the host, for datagrams: for each question, `answer` sends what it wants through the socket.
pub fn upstream(answer: impl Fn(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            answer(&socket, &buffer[..length], from);
        }
    });
    address
}

/// The same for connections, at an address that [`upstream`] returned.
pub fn stream_upstream(address: SocketAddr, answer: impl Fn(TcpStream, Vec<u8>) + Send + 'static) {
    let listener = TcpListener::bind(address).expect("the port is free");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            if let Some(question) = read_framed(&mut stream) {
                answer(stream, question);
            }
        }
    });
}

/// The question as an answer with this code, and `records` behind it.
pub fn answered(question: &[u8], code: u8, records: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    answer[7] = u8::from(!records.is_empty());
    answer.extend_from_slice(records);
    answer
}

/// A record of the address 192.0.2.N for the name in question.
pub fn address(n: u8) -> [u8; 16] {
    [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, n]
}
