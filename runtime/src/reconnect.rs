// SPDX-License-Identifier: Apache-2.0
//! Finds the shims of containers again: after a start of the daemon, and when a connection has broken.

use crate::container::{self, Container, State};
use crate::node::Node;
use crate::shims::{self, Shim};
use futures_util::future::BoxFuture;
use gorae_proto::shim::{self as wire, container_state::Phase};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a shim that is connected to again may take before others need not wait for it.
const ADOPT_PATIENCE: Duration = Duration::from_secs(3);
/// How often and how long a shim that is on its way is waited for.
const COMING_TRIES: u32 = 20;
/// See [`COMING_TRIES`].
const COMING_PAUSE: Duration = Duration::from_millis(10);

impl Node {
    /// Connects to a container's shim again, or settles the container when the shim is gone.
    pub async fn reconnect(self: &Arc<Self>, container: &Arc<Container>) {
        let _turn = container.connecting.lock().await;
        if container.shim_if_any().is_some() {
            return;
        }
        let run_dir = self.places.container_run(&container.record().id);
        for _ in 0..COMING_TRIES {
            let (events, queue) = mpsc::unbounded_channel();
            match Shim::connect(&run_dir, events).await {
                Ok(shim) => return self.adopt(container, shim, queue).await,
                Err(_) if self.is_coming(container, &run_dir) => tokio::time::sleep(COMING_PAUSE).await,
                Err(_) => break,
            }
        }
        self.shim_gone(container).await;
    }

    async fn adopt(
        self: &Arc<Self>,
        container: &Arc<Container>,
        shim: Shim,
        queue: mpsc::UnboundedReceiver<shims::ShimEvent>,
    ) {
        container.set_shim(shim.clone());
        tokio::spawn(container::start::follow(self.clone(), container.clone(), shim.clone(), queue));
        let (node, container) = (self.clone(), container.clone());
        let asking = tokio::spawn(async move {
            // A shim that is still starting its container answers when that is done.
            let verb = wire::request::Verb::GetState(wire::GetState {});
            let answer = shim.call_within(verb, &[], shims::SETUP_DEADLINE).await;
            if let Ok(shims::Answer { body: wire::reply::Body::State(state), .. }) = answer {
                node.shim_said(&container, &state);
            }
        });
        // One shim that does not answer must not hold up all others.
        let _ = tokio::time::timeout(ADOPT_PATIENCE, asking).await;
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
                Ok(Some(state)) if state.phase() == Phase::Exited => self.shim_said(&container, &state),
                _ => {
                    tokio::time::sleep(COMING_PAUSE).await;
                    self.reconnect(&container).await;
                }
            }
        })
    }
}
