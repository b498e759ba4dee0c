// SPDX-License-Identifier: Apache-2.0
//! The daemon's end of the connection to a shim: what callers and the store learn of the bytes that come.

use crate::random::pieces;
use gorae_proto::frame;
use gorae_proto::shim::{
    Attached, ContainerState, Exec, ExecExited, ExecStarted, Failure, Frame, Push, Reply, frame::Body, push, reply,
};
use gorae_shims::{Error, Running, Shim, ShimEvent};
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Execs that wait while the bytes come; they have the numbers from 1 on.
const EXECS: u64 = 3;
/// All calls: the one behind the execs asks for the state.
const CALLS: u64 = EXECS + 1;
const DEADLINE: Duration = Duration::from_secs(5);

/// How a call ends.
#[derive(Debug, PartialEq)]
enum End {
    /// An exec was started; with its own end, if that was told.
    Started(u64, Option<ExecExited>),
    State(ContainerState),
    Failed(Error),
}

pub fn check(wire: &[u8]) {
    let frames = frames(wire);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (ends, states) = runtime.block_on(over_a_socket(wire));
    assert_eq!(ends, expected(&frames), "calls end otherwise than the frames say");
    let pushed = frames.into_iter().filter_map(|frame| match frame.body {
        Some(Body::Push(Push { body: Some(push::Body::State(state)) })) => Some(state),
        _ => None,
    });
    assert!(pushed.eq(states), "other states than the frames have");
}

/// All frames up to the first that is none.
fn frames(wire: &[u8]) -> Vec<Frame> {
    let mut buffer = wire.to_vec();
    std::iter::from_fn(|| frame::decode(&mut buffer).ok().flatten()).collect()
}

/// What the daemon makes of the bytes of a shim that then ends.
async fn over_a_socket(wire: &[u8]) -> (Vec<End>, Vec<ContainerState>) {
    let (mut ours, theirs) = UnixStream::pair().expect("sockets");
    // Nobody receives while the bytes are written: there is room for as many states as they can hold.
    let (sender, mut events) = mpsc::channel(wire.len() + 1);
    let shim = Shim::new(theirs, sender);
    let exec = |_| {
        let shim = shim.clone();
        tokio::spawn(async move { end(shim.exec(Exec::default(), &[], DEADLINE).await).await })
    };
    let mut calls: Vec<_> = (0..EXECS).map(exec).collect();
    let asking = shim.clone();
    calls.push(tokio::spawn(async move { asking.state(DEADLINE).await.map_or_else(End::Failed, End::State) }));
    // All are asked before anything is answered.
    tokio::task::yield_now().await;
    for piece in pieces(wire) {
        // The other end may have left at a fault.
        if ours.write_all(piece).await.is_err() {
            break;
        }
    }
    // What it has asked is unread, and a reset would look like a broken connection.
    ours.shutdown().await.ok();
    let mut states = Vec::new();
    while let ShimEvent::State(state) = events.recv().await.expect("the end is told") {
        states.push(*state);
    }
    let mut ends = Vec::new();
    for call in calls {
        ends.push(call.await.expect("a call never panics"));
    }
    let late = shim.state(DEADLINE).await;
    assert!(matches!(late, Err(Error::Gone(_))), "a call of a shim that is gone: {late:?}");
    (ends, states)
}

async fn end(started: Result<Running, Error>) -> End {
    match started {
        Ok(Running { exec, terminal, exit }) => {
            assert!(terminal.is_none(), "a descriptor from nowhere");
            End::Started(exec, exit.claim().await.ok())
        }
        Err(error) => End::Failed(error),
    }
}

/// What a call makes of the body of its reply.
fn of_body(call: u64, body: Option<reply::Body>) -> End {
    let wanted = if call <= EXECS { "ExecStarted" } else { "State" };
    match body {
        Some(reply::Body::Failure(failure)) => End::Failed(Error::Refused(failure)),
        Some(reply::Body::ExecStarted(started)) if call <= EXECS => End::Started(started.exec, None),
        Some(reply::Body::State(state)) if call > EXECS => End::State(state),
        Some(other) => {
            let name = format!("{other:?}");
            let name = name.split('(').next().unwrap_or_default();
            End::Failed(Error::Broken(format!("the shim replied with {name}, not {wanted}")))
        }
        None => End::Failed(Error::Broken("the shim's reply is empty".to_owned())),
    }
}

/// The same of the frames alone: the first reply to a call counts, and the first end of its exec behind it, unless
/// another reply has taken the exec's number before.
fn expected(frames: &[Frame]) -> Vec<End> {
    let gone = || Error::Gone("the container's shim has ended".to_owned());
    let mut ends: Vec<End> = (0..CALLS).map(|_| End::Failed(gone())).collect();
    let (mut answered, mut execs) = (HashMap::new(), HashMap::new());
    for frame in frames {
        match &frame.body {
            Some(Body::Reply(Reply { id, body })) => {
                let call = (1..=CALLS).contains(id) && answered.insert(*id, ()).is_none();
                let call = call.then(|| *id as usize - 1);
                if let Some(reply::Body::ExecStarted(started)) = body {
                    execs.insert(started.exec, call);
                }
                let Some(call) = call else { continue };
                ends[call] = of_body(*id, body.clone());
            }
            Some(Body::Push(Push { body: Some(push::Body::ExecExited(exited)) })) => {
                if let Some(Some(call)) = execs.remove(&exited.exec)
                    && let End::Started(_, end) = &mut ends[call]
                {
                    *end = Some(*exited);
                }
            }
            _ => {}
        }
    }
    ends
}

pub fn seeds() -> Vec<Vec<u8>> {
    let reply = |id, body| Frame { body: Some(Body::Reply(Reply { id, body: Some(body) })) };
    let push = |body| Frame { body: Some(Body::Push(Push { body: Some(body) })) };
    let started = |id, exec| reply(id, reply::Body::ExecStarted(ExecStarted { exec, ..ExecStarted::default() }));
    let exited = |exec| push(push::Body::ExecExited(ExecExited { exec, ..ExecExited::default() }));
    let state = || push(push::Body::State(ContainerState::default()));
    let failure = Failure { message: "no".to_owned(), ..Failure::default() };
    let empty = Frame { body: Some(Body::Reply(Reply { id: 2, body: None })) };
    let attached = |id| reply(id, reply::Body::Attached(Attached::default()));
    let wire =
        |frames: &[Frame]| frames.iter().flat_map(|frame| frame::encode(frame).expect("small")).collect::<Vec<u8>>();
    let one = wire(&[state()]);
    vec![
        wire(&[started(1, 7), state(), attached(2), exited(7), reply(3, reply::Body::Failure(failure)), state()]),
        wire(&[started(1, 7), started(2, 7), exited(7), started(9, 8), exited(8), started(3, 8), empty]),
        wire(&[reply(4, reply::Body::State(ContainerState::default())), state()]),
        wire(&[started(4, 7), exited(7), attached(3)]),
        wire(&[exited(1), attached(1), attached(1), started(2, 1), started(5, 1), exited(1), Frame::default()]),
        [&one[..], &one[..one.len() - 1]].concat(),
        [&one[..], &[1, 0, 0, 0, 0xff], &one[..]].concat(),
        [&one[..], &[0xff; 4], &one[..]].concat(),
    ]
}
