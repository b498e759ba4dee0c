// SPDX-License-Identifier: Apache-2.0
//! The only place where a shim's reports become a container's state, and where a container without a shim is settled.
//!
//! ```text
//! start, or a look after the daemon's own start
//!   └─▶ keep: ┌▶ process the shim's reports, until its connection ends
//!             │    └ look for it: ── found ──┘      (a live shim whose connection broke)
//!             │                   ── exists, but out of reach: look again after longer and longer pauses
//!             └─────────────────────  gone: the state on disk is its last word, or a one-off shim settles
//! ```
//!
//! One task per live container runs `Keeper::keep`. The container's [`Line`] says which step is in progress, so that
//! a verb can see it, wait for it and take over from it.

use crate::container::{self, Container, Line, State, phase_of};
use crate::disk;
use crate::error::Result;
use crate::events::Events;
use crate::ids::{self, ContainerId};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::records;
use gorae_kernel::clock;
use gorae_proto::PROTOCOL;
use gorae_proto::shim::{self as wire, CleanContainer, container_state::Phase};
use gorae_proto::state::{START_ERROR, START_ERROR_CODE, UNKNOWN, UNKNOWN_CODE};
use gorae_shims::{self as shims, Shim, ShimEvent};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{sleep, timeout};
use tracing::Instrument;

/// How long a caller waits for a look that is in progress: a shim that does not respond must not hold up the others.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);
/// How many times a shim that is still starting is looked for.
const COMING_TRIES: u32 = 20;
/// The pause between two of these tries.
const COMING_PAUSE: Duration = Duration::from_millis(10);
/// The first pause before a shim that could not be reached is looked for again.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// The first pause before another try to settle a container.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of both: a shim that comes back is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Keeps every container's state in line with what its shim reports.
#[derive(Debug)]
pub struct Keeper {
    objects: Arc<Objects>,
    machine: Arc<Machine>,
    events: Arc<Events>,
}

/// A connected shim and the queue of its reports.
#[derive(Debug)]
struct Connection {
    shim: Shim,
    said: Receiver<ShimEvent>,
}

/// The result of a look for a shim.
#[derive(Debug)]
enum Found {
    /// A shim listens.
    Shim(Connection),
    /// There is no shim.
    Nothing,
    /// There may be one: it accepts no more connections, or this daemon has no descriptor left.
    OutOfReach(shims::Error),
}

/// Logs a shim that speaks a later version of the protocol, as after a downgrade of the daemon alone. Such a shim supports
/// every verb of this daemon. Anything beyond this version that it was set to do stays in force.
fn warn_of_a_later_shim(state: &wire::ContainerState) {
    if state.protocol > PROTOCOL {
        tracing::warn!(
            container = ids::short(&state.container_id),
            shim = state.protocol,
            daemon = PROTOCOL,
            "the container's shim is newer than this daemon; restart the container when you can"
        );
    }
}

/// The end that is recorded for a container whose start was given up.
pub fn start_error(why: &str) -> wire::End {
    wire::End { exit_code: START_ERROR_CODE, reason: START_ERROR.into(), message: why.to_owned() }
}

impl Keeper {
    /// Makes a keeper for these objects.
    pub fn new(objects: Arc<Objects>, machine: Arc<Machine>, events: Arc<Events>) -> Self {
        Self { objects, machine, events }
    }

    /// The shim's state record; `None` when there is none.
    ///
    /// # Errors
    /// As [`records::read`].
    pub fn state_on_disk(&self, container_id: &ContainerId) -> Result<Option<wire::ContainerState>> {
        container::read_state(&self.machine.places.container_run(container_id))
    }

    /// Takes over a shim that a start has just made. False when the container is being ended instead; the caller then
    /// has to kill the shim.
    pub fn attach(self: &Arc<Self>, container: &Arc<Container>, shim: Shim, said: Receiver<ShimEvent>) -> bool {
        let attached = container.change_line(|line| line.attach(shim.clone()));
        if attached {
            tokio::spawn(self.clone().keep(container.clone(), Some(Connection { shim, said })));
        }
        attached
    }

    /// Looks for a container's shim, unless a look is in progress, and waits a moment for the result. The look continues in
    /// the background.
    pub async fn reconnect(self: &Arc<Self>, container: &Arc<Container>) {
        if container.change_line(Line::look) {
            tokio::spawn(self.clone().keep(container.clone(), None));
        }
        let decided = async {
            container.line_is(|line| !matches!(line, Line::Looking)).await;
            // A shim that is still starting its container responds only when that is done.
            let _ = container.watch().wait_for(|state| *state != State::Starting).await;
        };
        let _ = timeout(LOOK_PATIENCE, decided).await;
    }

    /// The shim of a running container, looked for if it is not connected; `None` when it cannot be reached.
    pub async fn shim(self: &Arc<Self>, container: &Arc<Container>) -> Option<Shim> {
        let connected = container.shim_if_any();
        if connected.is_some() || !container.look_at_line(|line| matches!(line, Line::Down | Line::Looking)) {
            return connected;
        }
        self.reconnect(container).await;
        container.shim_if_any()
    }

    /// Follows one container; see the module documentation. The line is `Up` with this shim, or `Looking` without one.
    async fn keep(self: Arc<Self>, container: Arc<Container>, mut connection: Option<Connection>) {
        let mut pause = LOOK_PAUSE;
        loop {
            if let Some(Connection { shim, said }) = connection.take() {
                self.take_in(&container, said).await;
                if !container.change_line(|line| line.lose(&shim)) {
                    // It is being ended without its shim.
                    return;
                }
                pause = LOOK_PAUSE;
                if self.has_told_its_end(&container) {
                    return self.gone(&container).await;
                }
                sleep(COMING_PAUSE).await;
            }
            match self.find(&container).await {
                Found::Shim(found) if self.take_back(&container, &found.shim) => connection = Some(found),
                // The container is being ended in the meantime.
                Found::Shim(_) => return,
                Found::Nothing => return self.gone(&container).await,
                Found::OutOfReach(_) if self.is_over(&container) => return container.change_line(Line::find_nothing),
                Found::OutOfReach(error) => {
                    let id = &container.record().id;
                    tracing::warn!(container = ids::short(id), %error, "cannot reach the container's shim; retrying");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Processes a shim's reports until its connection ends.
    async fn take_in(&self, container: &Arc<Container>, mut said: Receiver<ShimEvent>) {
        while let Some(ShimEvent::State(state)) = said.recv().await {
            self.said(container, &state).await;
        }
    }

    fn has_told_its_end(&self, container: &Container) -> bool {
        container.has_ended()
            || matches!(self.state_on_disk(&container.record().id), Ok(Some(state)) if phase_of(&state) == Phase::Exited)
    }

    fn is_over(&self, container: &Container) -> bool {
        container.has_ended() || self.objects.containers.get(&container.record().id).is_none()
    }

    /// Processes a report of a container's shim, and keeps a copy of an end in case of a reboot.
    pub async fn said(&self, container: &Arc<Container>, state: &wire::ContainerState) {
        if let Some(stopping) = &state.stopping {
            container.change_line(|line| line.is_stuck(&stopping.stuck));
        }
        if !state.hook_error.is_empty() {
            let container = ids::short(&state.container_id);
            tracing::warn!(container, error = %state.hook_error, "a poststop hook failed");
        }
        let next = State::from_shim(state);
        if !self.publish(container, next.clone()) {
            return;
        }
        // Published before it is written: nobody should wait for the disk.
        if let State::Exited(exit) = next {
            let id = container.record().id.clone();
            container::end::keep(self.machine.places.container_root(&id), &id, &exit).await;
        }
    }

    /// Makes a container's move and publishes it; false when the move is not allowed.
    fn publish(&self, container: &Arc<Container>, next: State) -> bool {
        // The reply to a start and the push of an end take different paths, so they are put in order here.
        let transaction = self.events.transaction();
        let was_running = container.is_running();
        if !container.move_to(next.clone()) {
            return false;
        }
        match next {
            State::Running { .. } => transaction.container_started(container),
            State::Exited(exit) => {
                if !was_running && exit.started_at.is_some() {
                    transaction.container_started(container);
                }
                transaction.container_stopped(container);
                let id = &container.record().id;
                tracing::info!(container = ids::short(id), code = exit.code, reason = %exit.reason, "container has ended");
            }
            State::Created | State::Starting => {}
        }
        true
    }

    /// Looks for a container's shim once; it may still be starting.
    async fn find(&self, container: &Container) -> Found {
        let run_dir = self.machine.places.container_run(&container.record().id);
        let mut out_of_reach = None;
        for _ in 0..COMING_TRIES {
            let (events, said) = mpsc::channel(shims::QUEUED_EVENTS);
            match Shim::connect(&run_dir, events).await {
                Ok(shim) => return Found::Shim(Connection { shim, said }),
                Err(shims::Error::NotThere(_)) if !self.is_coming(container, &run_dir) => return Found::Nothing,
                Err(shims::Error::NotThere(_)) => out_of_reach = None,
                Err(error) => out_of_reach = Some(error),
            }
            sleep(COMING_PAUSE).await;
        }
        // It was expected and did not appear, or it exists and is out of reach.
        out_of_reach.map_or(Found::Nothing, Found::OutOfReach)
    }

    /// Whether a shim that a killed daemon started is still starting: it is in its directory, but does not listen yet. One
    /// that is not even there loses its directory and exits, because nobody would know about the container that it starts.
    fn is_coming(&self, container: &Container, run_dir: &Path) -> bool {
        let unknown = matches!(self.state_on_disk(&container.record().id), Ok(None)) && !container.is_running();
        unknown
            && matches!(disk::blocking(|| std::fs::remove_dir(run_dir)), Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY))
    }

    /// Takes over a shim that was found, and asks it for the state; false when it comes too late.
    fn take_back(self: &Arc<Self>, container: &Arc<Container>, shim: &Shim) -> bool {
        // A shim exists because a start was requested. The state is set before the line: a waiter for the line reads it.
        container.move_to(State::Starting);
        if !container.change_line(|line| line.attach(shim.clone())) {
            return false;
        }
        let (keeper, container, shim) = (self.clone(), container.clone(), shim.clone());
        tokio::spawn(async move {
            match shim.state(shims::SETUP_DEADLINE).await {
                Ok(state) => {
                    warn_of_a_later_shim(&state);
                    keeper.said(&container, &state).await
                }
                Err(error @ shims::Error::TimedOut(_)) => keeper.end_hung_start(&container, &error).await,
                // The connection has ended; the task that follows it decides.
                Err(shims::Error::Gone(_)) => {}
                Err(error) => {
                    let id = &container.record().id;
                    tracing::error!(container = ids::short(id), %error, "cannot ask the shim for the container's state");
                }
            }
        });
        true
    }

    /// Gives up a start that an earlier daemon requested, as that daemon would have done after the same time.
    async fn end_hung_start(self: &Arc<Self>, container: &Arc<Container>, why: &shims::Error) {
        let id = container.record().id.clone();
        let short = ids::short(&id);
        match self.state_on_disk(&id) {
            // The start is done: the shim hangs in something else.
            Ok(Some(state)) if phase_of(&state) != Phase::Starting => return self.said(container, &state).await,
            Ok(_) => {}
            // The container may be running, which is not a reason to end it.
            Err(error) => {
                return tracing::error!(container = short, %error, "its shim hangs, and its state cannot be read");
            }
        }
        if container.state() == State::Starting {
            tracing::error!(container = short, error = %why, "a start does not finish; giving it up");
            // A failure is logged and retried.
            let _ = self.settle(container, Some(start_error(&why.to_string()))).await;
        }
    }

    /// Handles a container whose shim is gone: the state on disk is final. If that is not an end, the shim was killed.
    async fn gone(self: &Arc<Self>, container: &Arc<Container>) {
        let id = container.record().id.clone();
        match self.state_on_disk(&id) {
            Ok(Some(state)) if phase_of(&state) == Phase::Exited => {
                self.said(container, &state).await;
                return container.change_line(Line::find_nothing);
            }
            // It never got a start, or refused it before it made anything.
            Ok(None) if !container.is_running() => {
                container.back_to_created();
                return container.change_line(Line::find_nothing);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(container = ids::short(&id), %error, "cannot read the container's state"),
        }
        if self.is_over(container) {
            return container.change_line(Line::find_nothing);
        }
        tracing::error!(container = ids::short(&id), "the container's shim died; ending the container");
        // A failure is logged and retried.
        let _ = self.settle(container, None).await;
    }

    /// Makes a one-off shim end what is left of a container, even if its own shim still exists and hangs, and applies the
    /// result. `end` is recorded if nobody observed the container's own end. A failure is retried in the background.
    ///
    /// - Cancel: the work continues.
    ///
    /// # Errors
    /// The one-off shim's failure: something of the container does not die.
    pub async fn settle(self: &Arc<Self>, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        while !container.change_line(Line::settle) {
            container.line_is(|line| !matches!(line, Line::Settling | Line::Starting(_))).await;
        }
        let (keeper, of) = (self.clone(), container.clone());
        let settling = tokio::spawn(async move { keeper.settle_now(&of, end).await }.in_current_span());
        settling.await.unwrap_or_else(|e| Err(crate::error::Error::internal(format!("settle the container: {e}"))))
    }

    /// Settles, for a caller that has set the line to `Settling`.
    async fn settle_now(self: &Arc<Self>, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        let settled = self.clean(container, end).await;
        container.change_line(|line| line.settled(settled.is_ok()));
        if let Err(error) = &settled {
            let id = container.record().id.clone();
            tracing::error!(container = ids::short(&id), %error, "cannot settle the container yet; retrying later");
            let (keeper, of) = (self.clone(), container.clone());
            tokio::spawn(async move { keeper.settle_later(&of).await });
        }
        settled
    }

    /// Retries until it works: a process that does not die now will die when its file system is back.
    async fn settle_later(&self, container: &Arc<Container>) {
        let mut pause = SETTLE_PAUSE;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Another task has taken it over, or is settling it.
            if !container.look_at_line(|line| matches!(line, Line::Owing)) || !container.change_line(Line::settle) {
                return;
            }
            let settled = self.is_over(container) || self.clean(container, None).await.is_ok();
            container.change_line(|line| line.settled(settled));
            if settled {
                return;
            }
        }
    }

    async fn clean(&self, container: &Arc<Container>, end: Option<wire::End>) -> Result<()> {
        let record = container.record();
        let run_dir = self.machine.places.container_run(&record.id);
        // The directory may be gone with the state directory; the processes may still run.
        records::make_dir(&run_dir)?;
        let run_dir = run_dir.to_string_lossy().into_owned();
        let clean = CleanContainer {
            container_id: record.id.to_string(),
            cgroup: Some(self.machine.cgroup(&record.cgroup)),
            hooks: container::order::hooks::after_the_end(&record, &run_dir),
            run_dir,
            end,
        };
        let mut state = shims::clean_container(&self.machine.spawner, clean).await?;
        if phase_of(&state) != Phase::Exited {
            state.set_phase(Phase::Exited);
            state.exit_code = UNKNOWN_CODE;
            state.reason = UNKNOWN.into();
            state.finished_at_ns = clock::now_ns();
        }
        self.said(container, &state).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
