// SPDX-License-Identifier: Apache-2.0
//! What goraed and gorae-shim say to each other: the framing, and the shim's end of a real socket.

use crate::random::pieces;
use gorae_proto::frame::{self, FrameError};
use gorae_proto::shim::{Attach, Exec, Frame, GetState, Reply, Request, ResizeTty, Start, frame::Body, request::Verb};
use gorae_shim::connection::{Connection, ConnectionError};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

pub fn check(wire: &[u8]) {
    let (frames, fault) = decoded([wire]);
    assert_eq!((&frames, &fault), (&decoded(pieces(wire)).0, &decoded(pieces(wire)).1), "it depends on the cuts");
    for known in &frames {
        let mut again = frame::encode(known).expect("it was not too long before");
        assert_eq!(frame::decode(&mut again).as_ref(), Ok(&Some(known.clone())), "a frame changes on its way");
        assert!(again.is_empty(), "bytes are left of a whole frame");
    }
    over_a_socket(wire, &frames, fault.is_some());
}

fn decoded<'w>(parts: impl IntoIterator<Item = &'w [u8]>) -> (Vec<Frame>, Option<FrameError>) {
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, None)
}

/// The shim takes the same requests off a socket, and ends the connection where it has to.
fn over_a_socket(wire: &[u8], frames: &[Frame], faulty: bool) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("sockets");
    let mut connection = Connection::new(theirs);
    let (mut requests, mut end) = (Vec::new(), None);
    'wire: for piece in pieces(wire) {
        // A socket holds less than the longest input, but it is emptied after each piece.
        assert_eq!(send(&ours, piece, SendFlags::NOSIGNAL), Ok(piece.len()));
        loop {
            match connection.try_receive() {
                Ok(Some(incoming)) => requests.push(incoming.request),
                Ok(None) => break,
                Err(error) => {
                    end = Some(error);
                    break 'wire;
                }
            }
        }
    }
    let wanted = frames.iter().map_while(|frame| match &frame.body {
        Some(Body::Request(request)) => Some(request.clone()),
        _ => None,
    });
    assert!(wanted.eq(requests.iter().cloned()), "the shim reads other requests than the framing has");
    match end {
        Some(ConnectionError::NotRequest) => assert!(requests.len() < frames.len()),
        Some(ConnectionError::Frame(_)) => assert!(faulty && requests.len() == frames.len()),
        Some(other) => panic!("a socket that is open ended with {other}"),
        None => assert!(!faulty && requests.len() == frames.len()),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let exec = Exec { args: vec![b"sh".to_vec(), b"-c".to_vec()], tty: true, rows: 24, ..Exec::default() };
    let verbs = [
        Verb::GetState(GetState {}),
        Verb::Exec(exec),
        Verb::Attach(Attach { stdin: true, stdout: true, stderr: false }),
        Verb::ResizeTty(ResizeTty { exec: 1, rows: 24, columns: 80 }),
        Verb::Start(Start::default()),
    ];
    let request = |(id, verb)| Frame { body: Some(Body::Request(Request { id, verb: Some(verb) })) };
    let wire = |frame: &Frame| frame::encode(frame).expect("small");
    let requests: Vec<Frame> = (1..).zip(verbs).map(request).collect();
    let reply = Frame { body: Some(Body::Reply(Reply { id: 1, body: None })) };
    vec![
        requests.iter().flat_map(wire).collect(),
        [wire(&requests[0]), wire(&reply), wire(&requests[1])].concat(),
        vec![0, 0, 0, 1, 0],
        vec![0xff; 4],
        vec![2, 0, 0, 0, 0xff, 0xff],
    ]
}
