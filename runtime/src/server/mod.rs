// SPDX-License-Identifier: Apache-2.0
//! The daemon from start to shutdown: open its state, serve the socket, finish interrupted work in the background, and
//! shut down within a deadline.

mod listen;
mod locks;
mod open;
mod serve;

use crate::admin::{self, Counters};
use crate::config::Config;
use crate::cri::Losses;
use crate::health::checks::check_executable;
use crate::log::Log;
use crate::rpc;
use crate::rpc::clients::Clients;
use gorae_cgroups as cgroups;
use gorae_node::error::{Error, Result};
use gorae_node::{Node, Places, reconcile, recover};
use listen::{listen, own_socket};
use locks::own_directories;
use open::{open, start_streaming};
use serve::Services;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Opens everything and serves until `stop` becomes true. Operators may change the level of `log`.
///
/// # Errors
/// What keeps the daemon from starting or serving, and what to do about it.
pub async fn run(config: Config, log: Log, stop: watch::Receiver<bool>) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::precondition("run goraed as root: only root can create containers"));
    }
    let places = Places { root: config.root.clone(), state: config.state.clone() };
    places.prepare()?;
    let _locks = own_directories(&places)?;
    let _socket_lock = own_socket(&config.socket)?;
    check_executable(&config.shim).map_err(Error::precondition)?;
    let (node, found) = open(&config, places).await?;
    found.fill(&node);
    node.follow_places().await;
    node.resume_names().await;
    let streaming = Arc::new(start_streaming(&config, &node).await?);
    let (listener, bound) = listen(&config.socket)?;
    let counters = Counters {
        measures: Arc::default(),
        clients: Clients::new(rpc::clients::Bounds::default()),
        losses: Losses::default(),
    };
    let operators = admin::Listener::bind(&config.admin).await?;
    let sources = || admin::Sources::new(node.clone(), &config, counters.clone(), bound, log);
    let operators = operators.map(|listener| admin::Server::start(listener, sources()));
    tracing::info!(socket = %config.socket.display(), pods = node.objects.pods.len(), "serving");
    let of = node.clone();
    let (settled, is_settled) = oneshot::channel();
    let settling = tokio::spawn(async move {
        recover::settle(of.clone(), found).await;
        let _ = settled.send(());
        reconcile::run(of).await;
    });
    let of = node.clone();
    let tending = tokio::spawn(async move {
        tokio::join!(of.networks.tend(&of.machine.places, async { drop(is_settled.await) }), of.follow_names());
    });
    let services = Services { socket: config.socket.clone(), node: node.clone(), streaming, counters };
    services.serve(listener, stop).await?;
    drop(operators);
    services.streaming.shutdown().await;
    settling.abort();
    tending.abort();
    shut_down(&config, &node).await;
    Ok(())
}

async fn shut_down(config: &Config, node: &Arc<Node>) {
    let _ = std::fs::remove_file(&config.socket);
    if !node.objects.pods.is_empty() {
        return;
    }
    match tokio::time::timeout(Duration::from_secs(1), node.networks.builtin.remove_if_unused()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot remove the unused bridge"),
        Err(_) => tracing::warn!("removing the unused bridge timed out"),
    }
    cgroups::remove_default_parent(&node.machine.hierarchies);
}
