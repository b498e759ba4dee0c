// SPDX-License-Identifier: Apache-2.0
//! Finds the shims of containers again: after a start of the daemon, and when a connection has broken.

use crate::container::{self, Container, State};
use crate::error::Result;
use crate::ids;
use crate::node::Node;
use futures_util::future::BoxFuture;
use gorae_proto::shim::{self as wire, container_state::Phase};
use gorae_shims::{self as shims, Shim};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a shim that is connected to again may take before others need not wait for it.
const ADOPT_PATIENCE: Duration = Duration::from_secs(3);
/// How often and how long a shim that is on its way is waited for.
const COMING_TRIES: u32 = 20;
/// See [`COMING_TRIES`].
const COMING_PAUSE: Duration = Duration::from_millis(10);
/// The first pause before a shim that could not be reached is looked for again.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);
/// The longest one: without its shim a container can only run on.
const SEARCH_LONGEST_PAUSE: Duration = Duration::from_secs(4);

impl Node {
    /// Connects to a container's shim again, or settles the container when the shim is gone. When neither can be done
    /// now, it goes on in the background.
    pub async fn reconnect(self: &Arc<Self>, container: &Arc<Container>) {
        if let Err(error) = self.find_shim(container).await {
            let id = &container.record().id;
            tracing::warn!(container = ids::short(id), %error, "cannot reach the container's shim; it is tried again");
            self.find_shim_later(container);
        }
    }

    /// Connects to a container's shim again, or settles the container when the shim is gone.
    ///
    /// # Errors
    /// Why it cannot be connected to now, although it may be there: it takes no more connections, or this daemon has
    /// no descriptor left. Nothing is changed then: a container must not end for that.
    pub async fn find_shim(self: &Arc<Self>, container: &Arc<Container>) -> Result<()> {
        let _turn = container.connecting.lock().await;
        if container.shim_if_any().is_some() {
            return Ok(());
        }
        let run_dir = self.places.container_run(&container.record().id);
        let mut unreached = None;
        for _ in 0..COMING_TRIES {
            let (events, queue) = mpsc::unbounded_channel();
            match Shim::connect(&run_dir, events).await {
                Ok(shim) => {
                    self.adopt(container, shim, queue).await;
                    return Ok(());
                }
                Err(shims::Error::NotThere(_)) if !self.is_coming(container, &run_dir) => {
                    self.shim_gone(container).await;
                    return Ok(());
                }
                Err(shims::Error::NotThere(_)) => unreached = None,
                Err(e) => unreached = Some(e),
            }
            tokio::time::sleep(COMING_PAUSE).await;
        }
        match unreached {
            Some(error) => Err(error.into()),
            // It was to come, and did not.
            None => {
                self.shim_gone(container).await;
                Ok(())
            }
        }
    }

    fn find_shim_later(self: &Arc<Self>, container: &Arc<Container>) {
        if container.searching.swap(true, Ordering::SeqCst) {
            return;
        }
        let (node, container) = (self.clone(), container.clone());
        tokio::spawn(async move {
            let (id, mut pause) = (container.record().id.clone(), SEARCH_PAUSE);
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(SEARCH_LONGEST_PAUSE);
                // A start of a created container looks for the shim itself.
                let _turn = match container.state() {
                    State::Created => Some(container.verb.lock().await),
                    _ => None,
                };
                let over = node.containers.get(&id).is_none() || matches!(container.state(), State::Exited(_));
                if over || node.find_shim(&container).await.is_ok() {
                    break;
                }
            }
            container.searching.store(false, Ordering::SeqCst);
        });
    }

    async fn adopt(
        self: &Arc<Self>,
        container: &Arc<Container>,
        shim: Shim,
        queue: mpsc::UnboundedReceiver<shims::ShimEvent>,
    ) {
        container.set_shim(shim.clone());
        // Where a shim is, somebody has asked for a start.
        container.move_to(State::Starting);
        tokio::spawn(container::start::follow(self.clone(), container.clone(), shim.clone(), queue));
        let (node, container) = (self.clone(), container.clone());
        let asking = tokio::spawn(async move {
            // A shim that is still starting its container answers when that is done.
            let verb = wire::request::Verb::GetState(wire::GetState {});
            match shim.call_within(verb, &[], shims::SETUP_DEADLINE).await {
                Ok(shims::Answer { body: wire::reply::Body::State(state), .. }) => {
                    node.shim_said(&container, &state).await;
                }
                Err(error @ shims::Error::TimedOut(_)) => node.end_hung_start(&container, &error).await,
                // The connection has ended, and who follows it decides.
                Err(_) => {}
                Ok(_) => {
                    let container = container.record();
                    tracing::error!(
                        container = ids::short(&container.id),
                        "the shim answered something else than State"
                    );
                }
            }
        });
        // One shim that does not answer must not hold up all others.
        let _ = tokio::time::timeout(ADOPT_PATIENCE, asking).await;
    }

    /// Gives up a start that a daemon before this one has asked for, as that one would have after the same time.
    async fn end_hung_start(self: &Arc<Self>, container: &Arc<Container>, why: &shims::Error) {
        let id = container.record().id.clone();
        let short = ids::short(&id);
        match self.state_on_disk(&id) {
            // The start is done: it hangs in something else.
            Ok(Some(state)) if state.phase() != Phase::Starting => return self.shim_said(container, &state).await,
            Ok(_) => {}
            // It may be running: no reason to end it.
            Err(error) => {
                return tracing::error!(container = short, %error, "its shim hangs, and its state is unreadable");
            }
        }
        if container.state() != State::Starting {
            return;
        }
        tracing::error!(container = short, error = %why, "a start does not end; giving it up");
        let end = container::start::start_error(&why.to_string());
        if let Err(error) = self.end_container(container, Some(end)).await {
            tracing::error!(container = short, %error, "cannot settle the container yet");
            self.clean_later(container);
        }
    }

    /// Whether a shim that a killed daemon started is on its way: in its directory, but not yet listening. One that is
    /// not even there loses the directory and ends: nobody would know of the container that it starts.
    fn is_coming(&self, container: &Container, run_dir: &Path) -> bool {
        let id = &container.record().id;
        let unknown = matches!(self.state_on_disk(id), Ok(None)) && !matches!(container.state(), State::Running { .. });
        unknown && matches!(std::fs::remove_dir(run_dir), Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY))
    }

    /// A connection ended, nearly always because the shim has. One that lives is connected to again: its container
    /// must not end for a broken connection.
    pub fn connection_ended(self: Arc<Self>, container: Arc<Container>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            match self.state_on_disk(&container.record().id) {
                Ok(Some(state)) if state.phase() == Phase::Exited => self.shim_said(&container, &state).await,
                _ => {
                    tokio::time::sleep(COMING_PAUSE).await;
                    self.reconnect(&container).await;
                }
            }
        })
    }
}
