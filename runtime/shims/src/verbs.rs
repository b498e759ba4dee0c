// SPDX-License-Identifier: Apache-2.0
//! One call for each verb of a container's shim. Each unpacks its own reply.

use crate::connection::{Answer, ExecExit, Shim};
use crate::deadline::{ANSWER_DEADLINE, SETUP_DEADLINE};
use crate::device_programs::DevicePrograms;
use crate::error::{Error, Result};
use gorae_proto::shim::{
    Attach, ContainerState, EndExec, Exec, GetState, ReopenLog, ResizeTty, Signal, Start, Started, Stop,
    UpdateResources, reply::Body, request::Verb,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A command that was started in a container.
#[derive(Debug)]
pub struct Running {
    /// Its number, for later calls about it.
    pub exec: u64,
    /// Its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    /// Its exit. Dropping it ends the command.
    pub exit: ExecExit,
}

/// Our ends of a container's streams; those that were not requested are `None`.
#[derive(Debug, Default)]
pub struct Streams {
    /// What is written here is the container's standard input.
    pub stdin: Option<OwnedFd>,
    /// A copy of its standard output.
    pub stdout: Option<OwnedFd>,
    /// A copy of its standard error.
    pub stderr: Option<OwnedFd>,
}

/// The verbs. Each returns [`Error::Refused`] for a failure that the shim reports, [`Error::TimedOut`] when it does not reply
/// in time, [`Error::Gone`] when it has ended, and [`Error::Broken`] for a reply of another verb.
impl Shim {
    /// Makes the shim start its container. The device program of the container's rules is sent along if it is loaded;
    /// otherwise the one that the shim loads is kept in `programs`.
    ///
    /// # Errors
    /// As for all verbs, within [`SETUP_DEADLINE`].
    pub async fn start(&self, mut start: Start, programs: &DevicePrograms) -> Result<Started> {
        let loaded = programs.of(&start.device_rules);
        start.device_program = loaded.is_some();
        let rules = loaded.is_none().then(|| start.device_rules.clone());
        let descriptors: Vec<_> = loaded.iter().map(|program| program.as_fd()).collect();
        let mut answer = self.call_within(Verb::Start(start), &descriptors, SETUP_DEADLINE).await?;
        let Body::Started(started) = answer.body else { return Err(Error::unexpected("Started", &answer.body)) };
        if let (Some(rules), true) = (rules, started.device_program)
            && let Some(program) = answer.fds.pop()
        {
            programs.keep(rules, program);
        }
        Ok(started)
    }

    /// Asks for the container's state. A shim that is starting its container replies only when that is done.
    ///
    /// # Errors
    /// As for all verbs.
    pub async fn state(&self, deadline: Duration) -> Result<ContainerState> {
        match self.call_within(Verb::GetState(GetState {}), &[], deadline).await?.body {
            Body::State(state) => Ok(state),
            other => Err(Error::unexpected("State", &other)),
        }
    }

    /// Makes the shim begin to stop the container: with this signal, and after `grace` with SIGKILL.
    ///
    /// # Errors
    /// As for all verbs, within [`ANSWER_DEADLINE`]; refused with `FailedPrecondition` when the container has ended.
    pub async fn stop(&self, signal: i32, grace: Duration) -> Result<()> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let answer = self.call_within(Verb::Stop(Stop { signal, grace_ms }), &[], ANSWER_DEADLINE).await?;
        Error::unless_done(&answer.body)
    }

    /// Makes the shim start a command, with these descriptors as its streams.
    ///
    /// # Errors
    /// As for all verbs; the command is ended if the reply lacks its terminal.
    pub async fn exec(&self, exec: Exec, streams: &[BorrowedFd<'_>], deadline: Duration) -> Result<Running> {
        let terminals = usize::from(exec.tty);
        let Answer { body, fds, exit } = self.call_within(Verb::Exec(exec), streams, deadline).await?;
        let (Body::ExecStarted(started), Some(exit)) = (&body, exit) else {
            return Err(Error::unexpected("ExecStarted", &body));
        };
        let terminal = exactly(terminals, fds, "exec")?.next();
        Ok(Running { exec: started.exec, terminal, exit })
    }

    /// Kills a command and its children.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`.
    pub async fn end_exec(&self, exec: u64) -> Result<()> {
        self.tell(Verb::EndExec(EndExec { exec })).await
    }

    /// Signals the first process of a command; of the container for exec 0.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`.
    pub async fn signal(&self, exec: u64, number: i32) -> Result<()> {
        self.tell(Verb::Signal(Signal { exec, number })).await
    }

    /// Resizes the terminal of a command; of the container for exec 0.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`; refused with `FailedPrecondition` when it has no terminal.
    pub async fn resize(&self, exec: u64, rows: u32, columns: u32) -> Result<()> {
        self.tell(Verb::ResizeTty(ResizeTty { exec, rows, columns })).await
    }

    /// Puts new limits in force, all of them or none.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`; if the shim has not replied, see [`Error::says_nothing`], they may be in force.
    pub async fn update(&self, update: UpdateResources) -> Result<()> {
        self.tell(Verb::UpdateResources(update)).await
    }

    /// Makes the shim continue the log in a new file.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`.
    pub async fn reopen_log(&self) -> Result<()> {
        self.tell(Verb::ReopenLog(ReopenLog {})).await
    }

    /// Attaches to the streams of a container without a terminal.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`.
    pub async fn attach_streams(&self, wanted: Attach) -> Result<Streams> {
        let number = usize::from(wanted.stdin) + usize::from(wanted.stdout) + usize::from(wanted.stderr);
        let mut fds = exactly(number, self.attach(wanted).await?, "attach")?;
        Ok(Streams {
            stdin: wanted.stdin.then(|| fds.next()).flatten(),
            stdout: wanted.stdout.then(|| fds.next()).flatten(),
            stderr: wanted.stderr.then(|| fds.next()).flatten(),
        })
    }

    /// Attaches to a container's terminal.
    ///
    /// # Errors
    /// As for all verbs, within `VERB_DEADLINE`.
    pub async fn attach_terminal(&self, wanted: Attach) -> Result<OwnedFd> {
        let terminal = exactly(1, self.attach(wanted).await?, "attach")?.next();
        terminal.ok_or_else(|| Error::Broken("attach: the shim sent no terminal".to_owned()))
    }

    /// A verb that has nothing to report.
    async fn tell(&self, verb: Verb) -> Result<()> {
        Error::unless_done(&self.call(verb).await?.body)
    }

    async fn attach(&self, wanted: Attach) -> Result<Vec<OwnedFd>> {
        let answer = self.call(Verb::Attach(wanted)).await?;
        match answer.body {
            Body::Attached(_) => Ok(answer.fds),
            other => Err(Error::unexpected("Attached", &other)),
        }
    }
}

/// The descriptors of a reply, if there are exactly as many as requested: with one missing, a session would show
/// nothing and report no error.
fn exactly(wanted: usize, fds: Vec<OwnedFd>, what: &str) -> Result<std::vec::IntoIter<OwnedFd>> {
    if fds.len() == wanted {
        return Ok(fds.into_iter());
    }
    let sent = fds.len();
    // The kernel drops descriptors for which the receiver has no room.
    let hint = if sent < wanted { "; the daemon may have reached its limit of open files" } else { "" };
    Err(Error::Broken(format!("{what}: the shim sent {sent} descriptors instead of {wanted}{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VERB_DEADLINE, socket};
    use gorae_proto::shim::{Attached, Done, ExecStarted, Frame, Reply, frame};
    use std::fs::File;
    use tokio::net::UnixStream;
    use tokio::sync::mpsc;

    /// A shim that replies to its first request with this, and with that many descriptors.
    fn shim(body: Body, descriptors: usize) -> Shim {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        tokio::spawn(async move {
            let mut reader = socket::Reader::default();
            let request = reader.next(&theirs).await.expect("a frame").expect("a request").0.body;
            let Some(frame::Body::Request(request)) = request else { panic!("{request:?}") };
            let reply = Reply { id: request.id, body: Some(body) };
            let file = File::open("/dev/null").expect("the null device");
            let frame = Frame { body: Some(frame::Body::Reply(reply)) };
            socket::send(&theirs, &frame, &vec![file.as_fd(); descriptors]).await.expect("sent");
            // It lives until its client goes away.
            while let Ok(Some(_)) = reader.next(&theirs).await {}
        });
        Shim::new(ours, mpsc::channel(1).0)
    }

    fn done() -> Body {
        Body::Done(Done {})
    }

    #[tokio::test]
    async fn the_reply_of_another_verb_is_refused_by_name() {
        let programs = DevicePrograms::default();
        let broken = |wanted| Error::Broken(format!("the shim replied with Done, not {wanted}"));
        assert_eq!(shim(done(), 0).start(Start::default(), &programs).await.expect_err("done"), broken("Started"));
        assert_eq!(shim(done(), 0).state(VERB_DEADLINE).await.expect_err("done"), broken("State"));
        let exec = shim(done(), 0).exec(Exec::default(), &[], VERB_DEADLINE).await;
        assert_eq!(exec.expect_err("done"), broken("ExecStarted"));
        let attach = shim(done(), 0).attach_streams(Attach::default()).await;
        assert_eq!(attach.expect_err("done"), broken("Attached"));
        let state = || Body::State(ContainerState::default());
        let silent = |body: fn() -> Body| async move {
            let update = UpdateResources::default();
            [
                shim(body(), 0).stop(15, Duration::ZERO).await,
                shim(body(), 0).end_exec(1).await,
                shim(body(), 0).signal(1, 15).await,
                shim(body(), 0).resize(0, 1, 1).await,
                shim(body(), 0).update(update).await,
                shim(body(), 0).reopen_log().await,
            ]
        };
        assert!(silent(done).await.iter().all(Result::is_ok));
        let broken = Error::Broken("the shim replied with State, not Done".to_owned());
        assert!(silent(state).await.into_iter().all(|reply| reply == Err(broken.clone())));
    }

    #[tokio::test]
    async fn the_program_that_a_shim_has_loaded_is_kept_and_sent_to_the_next() {
        let programs = DevicePrograms::default();
        let started = |device_program| Body::Started(Started { state: None, device_program });
        shim(started(false), 0).start(Start::default(), &programs).await.expect("started");
        assert!(programs.of(&[]).is_none());
        shim(started(true), 1).start(Start::default(), &programs).await.expect("started");
        assert!(programs.of(&[]).is_some());
    }

    #[tokio::test]
    async fn streams_come_in_the_order_in_which_they_were_requested() {
        let attached = |tty| Body::Attached(Attached { tty });
        let both = Attach { stdin: false, stdout: true, stderr: true };
        let streams = shim(attached(false), 2).attach_streams(both).await.expect("attached");
        assert!(streams.stdin.is_none() && streams.stdout.is_some() && streams.stderr.is_some());
        shim(attached(true), 1).attach_terminal(both).await.expect("attached");
    }

    #[tokio::test]
    async fn a_reply_with_too_few_or_too_many_descriptors_is_refused() {
        let attached = || Body::Attached(Attached::default());
        let all = Attach { stdin: true, stdout: true, stderr: true };
        let error = shim(attached(), 2).attach_streams(all).await.expect_err("too few").to_string();
        assert_eq!(
            error,
            "attach: the shim sent 2 descriptors instead of 3; the daemon may have reached its limit of open files"
        );
        assert!(shim(attached(), 2).attach_terminal(all).await.is_err());
        let started = || Body::ExecStarted(ExecStarted { exec: 7, pid: 9 });
        assert!(shim(started(), 1).exec(Exec::default(), &[], VERB_DEADLINE).await.is_err());
        let terminal = shim(started(), 1).exec(Exec { tty: true, ..Exec::default() }, &[], VERB_DEADLINE).await;
        let terminal = terminal.expect("started");
        assert!((terminal.exec, terminal.terminal.is_some()) == (7, true));
    }
}
