// SPDX-License-Identifier: Apache-2.0
//! A shim that runs network plugins, one after the other.

use crate::deadline::VERB_DEADLINE;
use crate::error::{Error, Result};
use crate::socket;
use crate::spawn::{Killer, Spawner};
use gorae_proto::shim::{Frame, PluginRan, Request, RunPlugin, frame::Body, reply, request::Verb};
use std::time::Duration;
use tokio::net::UnixStream;

/// A shim that runs network plugins. It has the attachment's lock from its first plugin on, and ends when this is dropped.
#[derive(Debug)]
pub struct Plugins {
    stream: UnixStream,
    reader: socket::Reader,
    killer: Killer,
    /// Who the plugins are run for, as `ps` shows it.
    id: String,
    requests: u64,
}

impl Plugins {
    /// Starts a shim for the pod, or for the node when `id` says so.
    ///
    /// # Errors
    /// The shim cannot be started.
    pub fn start(spawner: &Spawner, id: &str) -> Result<Self> {
        let (stream, killer) = spawner.spawn("run-plugin", id)?;
        Ok(Self { stream, reader: socket::Reader::default(), killer, id: id.to_owned(), requests: 0 })
    }

    /// Runs a plugin. The answer comes soon after the request's time limit at the latest, and with it the shim for the next
    /// one.
    ///
    /// # Errors
    /// The shim's failure: `DeadlineExceeded` when another run has the lock. [`Error::TimedOut`]: a process of the plugin
    /// cannot be killed. The shim ends then.
    pub async fn run(mut self, run: RunPlugin) -> Result<(PluginRan, Self)> {
        let deadline = Duration::from_millis(u64::from(run.timeout_ms)) + VERB_DEADLINE;
        match tokio::time::timeout(deadline, self.ask(run)).await {
            Ok(ran) => Ok((ran?, self)),
            Err(_) => {
                self.killer.kill();
                Err(Error::TimedOut(format!("gorae-shim run-plugin {}: no reply within {deadline:?}", self.id)))
            }
        }
    }

    async fn ask(&mut self, run: RunPlugin) -> Result<PluginRan> {
        self.requests += 1;
        let request = Request { id: self.requests, verb: Some(Verb::RunPlugin(run)) };
        socket::send(&self.stream, &Frame { body: Some(Body::Request(request)) }, &[]).await?;
        match self.reader.next(&self.stream).await? {
            Some((Frame { body: Some(Body::Reply(reply)) }, _)) if reply.id == self.requests => match reply.body {
                Some(reply::Body::PluginRan(ran)) => Ok(ran),
                Some(reply::Body::Failure(failure)) => Err(Error::Refused(failure)),
                Some(other) => Err(Error::unexpected("PluginRan", &other)),
                None => Err(self.broken("empty reply")),
            },
            Some(_) => Err(self.broken("sent something that is not the reply")),
            None => Err(self.broken("exited without a reply")),
        }
    }

    fn broken(&self, what: &str) -> Error {
        Error::Broken(format!("gorae-shim run-plugin {}: {what}", self.id))
    }
}
