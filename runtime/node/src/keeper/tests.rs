// SPDX-License-Identifier: Apache-2.0
//! The keeper with one container, and the other end of its shim's socket.

use super::*;
use crate::container::{Exit, Reason, fixtures};
use crate::machine::test_machine;
use gorae_proto::frame;
use gorae_proto::shim::{Frame, Push, Reply, frame::Body, push, reply, request};
use prost::Message;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A keeper, and one container that it knows.
struct Kept {
    dir: TempDir,
    keeper: Arc<Keeper>,
    container: Arc<Container>,
}

fn kept(state: State) -> Kept {
    let dir = tempfile::tempdir().expect("tempdir");
    let objects = Arc::new(Objects::default());
    let machine = Arc::new(test_machine(dir.path()));
    let events = Arc::new(Events::new(objects.clone()));
    let container = fixtures::container(state);
    objects.containers.insert(container.clone());
    records::make_dir(&machine.places.container_root(&container.record().id)).expect("directory");
    Kept { dir, keeper: Arc::new(Keeper::new(objects, machine, events)), container }
}

impl Kept {
    fn run_dir(&self) -> PathBuf {
        self.keeper.machine.places.container_run(&self.container.record().id)
    }

    fn write_state(&self, state: &wire::ContainerState) {
        records::make_dir(&self.run_dir()).expect("directory");
        let (kind, version) = (gorae_proto::state::KIND, gorae_proto::state::VERSION);
        let record = gorae_kernel::checked::encode(kind, version, &state.encode_to_vec());
        std::fs::write(self.run_dir().join(kind), record).expect("written");
    }

    /// Listens where the container's shim does.
    fn listen(&self) -> UnixListener {
        records::make_dir(&self.run_dir()).expect("directory");
        // The whole path is too long for a socket address.
        let dir = std::fs::File::open(self.run_dir()).expect("there");
        UnixListener::bind(format!("/proc/self/fd/{}/shim.sock", dir.as_raw_fd())).expect("bound")
    }

    /// Starts the container, up to the point where its shim is connected; returns the shim's end.
    fn attach(&self) -> FakeShim {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        let (events, said) = mpsc::channel(shims::QUEUED_EVENTS);
        let give_up = tokio::sync::oneshot::channel().0;
        assert!(self.container.change_line(|line| line.begin_start(give_up)));
        assert!(self.keeper.attach(&self.container, Shim::new(ours, events), said));
        FakeShim(theirs)
    }

    async fn line_is(&self, wanted: fn(&Line) -> bool) {
        timeout(PATIENCE, self.container.line_is(wanted)).await.expect("the line gets there");
    }

    async fn state_is(&self, wanted: fn(&State) -> bool) {
        let mut watch = self.container.watch();
        timeout(PATIENCE, watch.wait_for(wanted)).await.expect("in time").expect("it exists");
    }

    fn exit(&self) -> Exit {
        match self.container.state() {
            State::Exited(exit) => exit,
            other => panic!("{other:?}"),
        }
    }
}

/// The other end of a shim's socket.
struct FakeShim(UnixStream);

impl FakeShim {
    async fn accept(listener: &UnixListener) -> Self {
        Self(timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a connection").0)
    }

    async fn send(&mut self, body: Body) {
        let bytes = frame::encode(&Frame { body: Some(body) }).expect("small");
        self.0.write_all(&bytes).await.expect("sent");
    }

    async fn report(&mut self, state: wire::ContainerState) {
        self.send(Body::Push(Push { body: Some(push::Body::State(state)) })).await;
    }

    /// Replies to the request for the state.
    async fn answer(&mut self, state: wire::ContainerState) {
        let mut bytes = Vec::new();
        let request = loop {
            if let Some(frame) = frame::decode(&mut bytes).expect("frames") {
                break frame;
            }
            assert_ne!(self.0.read_buf(&mut bytes).await.expect("read"), 0, "no request");
        };
        let Some(Body::Request(request)) = request.body else { panic!("{request:?}") };
        assert!(matches!(request.verb, Some(request::Verb::GetState(_))));
        self.send(Body::Reply(Reply { id: request.id, body: Some(reply::Body::State(state)) })).await;
    }
}

fn running() -> wire::ContainerState {
    let id = fixtures::record().id.to_string();
    let mut state = wire::ContainerState { container_id: id, pid: 7, pid_start_ticks: 8, ..Default::default() };
    state.set_phase(Phase::Running);
    wire::ContainerState { started_at_ns: 3, ..state }
}

fn exited(exit_code: i32) -> wire::ContainerState {
    let mut state = running();
    state.set_phase(Phase::Exited);
    wire::ContainerState { exit_code, finished_at_ns: 4, ..state }
}

#[tokio::test]
async fn the_reports_of_a_shim_are_the_states_and_its_end_is_kept() {
    let kept = kept(State::Starting);
    let mut shim = kept.attach();
    shim.report(running()).await;
    kept.state_is(|state| matches!(state, State::Running { .. })).await;
    shim.report(exited(7)).await;
    kept.state_is(|state| matches!(state, State::Exited(_))).await;
    // What comes after the end changes nothing.
    shim.report(running()).await;
    drop(shim);
    kept.line_is(|line| matches!(line, Line::Down)).await;
    assert_eq!(kept.exit().code, 7);
    let root = kept.keeper.machine.places.container_root(&kept.container.record().id);
    assert_eq!(container::end::kept(&root).expect("readable").expect("kept").code, 7);
}

#[tokio::test]
async fn a_live_shim_whose_connection_broke_is_found_again() {
    let kept = kept(State::Starting);
    let listener = kept.listen();
    kept.write_state(&running());
    let mut shim = kept.attach();
    shim.report(running()).await;
    kept.state_is(|state| matches!(state, State::Running { .. })).await;
    drop(shim);
    let mut again = FakeShim::accept(&listener).await;
    again.answer(exited(9)).await;
    kept.state_is(|state| matches!(state, State::Exited(_))).await;
    assert_eq!(kept.exit().code, 9);
}

#[tokio::test]
async fn a_shim_of_an_earlier_daemon_is_found_and_asked() {
    let kept = kept(State::Created);
    let listener = kept.listen();
    let shim = async {
        let mut shim = FakeShim::accept(&listener).await;
        shim.answer(running()).await;
        shim
    };
    let ((), _shim) = tokio::join!(kept.keeper.reconnect(&kept.container), shim);
    assert!(kept.container.is_running() && kept.container.running_shim().is_ok());
}

#[tokio::test]
async fn a_container_without_a_shim_is_as_before_and_an_empty_directory_goes() {
    let kept = kept(State::Created);
    records::make_dir(&kept.run_dir()).expect("directory");
    kept.keeper.reconnect(&kept.container).await;
    kept.line_is(|line| matches!(line, Line::Down)).await;
    assert_eq!(kept.container.state(), State::Created);
    assert!(!kept.run_dir().exists(), "a shim that is only being started has to give up");
}

#[tokio::test]
async fn the_last_word_of_a_shim_that_is_gone_is_its_record() {
    let kept = kept(fixtures::running());
    kept.write_state(&exited(5));
    kept.keeper.reconnect(&kept.container).await;
    assert_eq!(kept.exit().code, 5);
    kept.line_is(|line| matches!(line, Line::Down)).await;
}

/// Makes the program of the shims reply with a state to its one request.
fn write_shim(dir: &Path, state: wire::ContainerState) {
    let reply = Reply { id: 1, body: Some(reply::Body::State(state)) };
    let bytes = frame::encode(&Frame { body: Some(Body::Reply(reply)) }).expect("small");
    std::fs::write(dir.join("reply"), bytes).expect("written");
    let script = format!(
        "#!/bin/sh\n/bin/dd bs=65536 count=1 of=/dev/null 2>/dev/null\nexec /bin/cat {} >&0\n",
        dir.join("reply").display()
    );
    // Written by another process: a file that this one has open for writing could not be executed.
    let (text, program) = (dir.join("text"), dir.join("shim"));
    std::fs::write(&text, script).expect("written");
    let installed = std::process::Command::new("install").args(["-m", "755"]).arg(text).arg(program).status();
    assert!(installed.expect("install runs").success());
}

#[tokio::test]
async fn a_one_off_shim_settles_what_a_killed_shim_has_left() {
    let kept = kept(State::Starting);
    write_shim(kept.dir.path(), exited(137));
    let mut shim = kept.attach();
    shim.report(running()).await;
    kept.state_is(|state| matches!(state, State::Running { .. })).await;
    kept.write_state(&running());
    drop(shim);
    kept.state_is(|state| matches!(state, State::Exited(_))).await;
    kept.line_is(|line| matches!(line, Line::Down)).await;
    assert_eq!((kept.exit().code, kept.exit().reason), (137, Reason::Error));
}

#[tokio::test]
async fn an_end_that_nobody_saw_is_unknown() {
    let kept = kept(fixtures::running());
    write_shim(kept.dir.path(), running());
    kept.keeper.settle(&kept.container, None).await.expect("settled");
    assert_eq!((kept.exit().code, kept.exit().reason), (UNKNOWN_CODE, Reason::Unknown));
}

#[tokio::test]
async fn what_cannot_be_settled_is_owed_and_settled_later() {
    let kept = kept(fixtures::running());
    kept.keeper.settle(&kept.container, None).await.expect_err("there is no shim to start");
    assert!(kept.container.look_at_line(|line| matches!(line, Line::Owing)));
    assert!(kept.container.is_running());
    write_shim(kept.dir.path(), exited(3));
    kept.line_is(|line| matches!(line, Line::Down)).await;
    assert_eq!(kept.exit().code, 3);
}
