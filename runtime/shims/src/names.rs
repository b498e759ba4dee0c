// SPDX-License-Identifier: Apache-2.0
//! The node's name server, which answers containers in user networks and outlives the daemon.

use crate::connection::{QUEUED_EVENTS, Shim, ShimEvent};
use crate::deadline::ANSWER_DEADLINE;
use crate::error::{Error, Result};
use crate::socket::{self, NAMES};
use crate::spawn::Spawner;
use gorae_proto::shim::{
    AddNameClient, CountNames, NameCounters, RemoveNameClient, ServeNames, SetNames, reply, request::Verb,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// How long a name server without containers and without a daemon goes on, in milliseconds: a container that starts in this
/// time finds it.
const LINGER_MS: u32 = 1000;

/// A connection to the name server, which lasts as long as both processes. Clones share it.
#[derive(Debug, Clone)]
pub struct Names(Shim);

/// The end of a name server, to wait for.
#[derive(Debug)]
pub struct NamesEnd(mpsc::Receiver<ShimEvent>);

/// Where a name server came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesBegin {
    /// An earlier daemon's: it has names, and clients, which [`Names::count`] lists.
    Found,
    /// It was started now and knows nothing.
    Started,
}

impl Names {
    /// Connects to the name server of this state directory, or starts one.
    ///
    /// # Errors
    /// It cannot be started, or one that runs does not take the connection.
    pub async fn begin(spawner: &Spawner, state_dir: &Path) -> Result<(Self, NamesEnd, NamesBegin)> {
        if let Some((names, end)) = Self::find(state_dir).await? {
            return Ok((names, end, NamesBegin::Found));
        }
        let (names, end) = Self::start(spawner, state_dir).await?;
        Ok((names, end, NamesBegin::Started))
    }

    /// Connects to the name server of this state directory; `None` when there is none.
    ///
    /// # Errors
    /// One runs and does not take the connection.
    pub async fn find(state_dir: &Path) -> Result<Option<(Self, NamesEnd)>> {
        match socket::connect(state_dir, NAMES).await {
            Ok(stream) => Ok(Some(Self::on(stream))),
            Err(Error::NotThere(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn start(spawner: &Spawner, state_dir: &Path) -> Result<(Self, NamesEnd)> {
        let (stream, killer) = spawner.spawn("serve-names", "node")?;
        let (names, end) = Self::on(stream);
        let serve = ServeNames { state_dir: state_dir.display().to_string(), linger_ms: LINGER_MS };
        match names.done(Verb::ServeNames(serve), &[]).await {
            Ok(()) => Ok((names, end)),
            Err(error) => {
                killer.kill();
                Err(error)
            }
        }
    }

    fn on(stream: UnixStream) -> (Self, NamesEnd) {
        let (sender, events) = mpsc::channel(QUEUED_EVENTS);
        (Self(Shim::new(stream, sender)), NamesEnd(events))
    }

    /// Replaces all names and servers at once.
    ///
    /// # Errors
    /// As [`Error`]: a name or an address is not one. Nothing is changed then.
    pub async fn set(&self, names: SetNames) -> Result<()> {
        self.done(Verb::SetNames(names), &[]).await
    }

    /// Has a container answered on these sockets, which [`open_names`](crate::open_names) opened.
    ///
    /// # Errors
    /// As [`Error`].
    pub async fn add(&self, container_id: &str, sockets: &[OwnedFd; 2]) -> Result<()> {
        let add = AddNameClient { container_id: container_id.to_owned() };
        self.done(Verb::AddNameClient(add), &sockets.each_ref().map(AsFd::as_fd)).await
    }

    /// Has a container not answered any more. One that is not there is fine.
    ///
    /// # Errors
    /// As [`Error`].
    pub async fn remove(&self, container_id: &str) -> Result<()> {
        self.done(Verb::RemoveNameClient(RemoveNameClient { container_id: container_id.to_owned() }), &[]).await
    }

    /// What it has done, and for which containers.
    ///
    /// # Errors
    /// As [`Error`].
    pub async fn count(&self) -> Result<NameCounters> {
        match self.ask(Verb::CountNames(CountNames {}), &[]).await? {
            reply::Body::NameCounters(counters) => Ok(counters),
            other => Err(Error::unexpected("NameCounters", &other)),
        }
    }

    /// Ends the connection, for all clones of it. The name server goes on, and ends by itself if it has no containers.
    pub fn leave(&self) {
        self.0.close();
    }

    async fn done(&self, verb: Verb, fds: &[BorrowedFd<'_>]) -> Result<()> {
        Error::unless_done(&self.ask(verb, fds).await?)
    }

    async fn ask(&self, verb: Verb, fds: &[BorrowedFd<'_>]) -> Result<reply::Body> {
        let answer = self.0.call_within(verb, fds, ANSWER_DEADLINE).await;
        answer.map(|answer| answer.body).map_err(|error| error.during("name server"))
    }
}

impl NamesEnd {
    /// Waits until the name server is gone. All clients' sockets are closed then; another one has to be begun, and all
    /// clients opened and added again.
    ///
    /// - Cancel: safe.
    pub async fn gone(&mut self) {
        while self.0.recv().await.is_some_and(|event| !matches!(event, ShimEvent::Gone)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::{Done, Frame, NameClient, Reply, Request, frame::Body};
    use tokio::net::UnixListener;

    /// A name server that says yes to everything but one verb, and tells how many descriptors came with each.
    async fn agreeable(listener: UnixListener) -> Vec<usize> {
        let (stream, _) = listener.accept().await.expect("a daemon");
        let (mut reader, mut counts) = (socket::Reader::default(), Vec::new());
        while let Ok(Some((Frame { body: Some(Body::Request(Request { id, verb })) }, fds))) =
            reader.next(&stream).await
        {
            counts.push(fds.len());
            let body = match verb {
                Some(Verb::RemoveNameClient(_)) => break,
                Some(Verb::CountNames(_)) => reply::Body::NameCounters(NameCounters {
                    clients: vec![NameClient { container_id: "c".into(), ..NameClient::default() }],
                    ..NameCounters::default()
                }),
                _ => reply::Body::Done(Done {}),
            };
            let frame = Frame { body: Some(Body::Reply(Reply { id, body: Some(body) })) };
            socket::send(&stream, &frame, &[]).await.expect("it listens");
        }
        counts
    }

    #[tokio::test]
    async fn one_that_runs_is_found_and_its_end_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join(NAMES)).expect("a socket");
        let server = tokio::spawn(agreeable(listener));
        let spawner = Spawner::by_path("/no/such/shim".into());
        let (names, mut end, begin) = Names::begin(&spawner, dir.path()).await.expect("it runs");
        assert_eq!(begin, NamesBegin::Found);
        names.set(SetNames::default()).await.expect("done");
        let sockets = [(); 2].map(|()| std::fs::File::open("/dev/null").expect("a file").into());
        names.add("c", &sockets).await.expect("done");
        assert_eq!(names.count().await.expect("counters").clients[0].container_id, "c");
        assert!(matches!(names.remove("c").await, Err(Error::Gone(_))));
        end.gone().await;
        assert_eq!(server.await.expect("no panic"), [0, 2, 0, 0]);
        // What is left of it is a socket that nothing listens on: another one is started.
        let error = Names::begin(&spawner, dir.path()).await.expect_err("there is no such shim");
        assert!(error.to_string().contains("/no/such/shim serve-names node"), "{error}");
    }
}
