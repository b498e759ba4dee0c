// SPDX-License-Identifier: Apache-2.0
//! What the listener tells about: the node and the counters of this daemon.

use crate::config::Config;
use crate::cri::Losses;
use crate::health::checks::{Bound, count_damaged};
use crate::health::{Finding, Health, Probe};
use crate::log::{Level, Log};
use crate::rpc::Measures;
use crate::rpc::clients::Clients;
use gorae_node::node::Node;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// Everything that is told, and the one thing that is set.
#[derive(Debug)]
pub struct Sources {
    /// The node.
    pub node: Arc<Node>,
    /// What is known of calls.
    pub measures: Arc<Measures>,
    /// Who is connected to the CRI socket.
    pub clients: Arc<Clients>,
    /// Events that clients did not get.
    pub losses: Losses,
    /// Objects whose records are damaged.
    pub damaged: Probe<u64>,
    /// When the daemon was started.
    pub started: SystemTime,
    log: Log,
    log_level: Arc<watch::Sender<Level>>,
    health: Health,
}

/// What of a daemon is counted.
#[derive(Debug, Clone)]
pub struct Counters {
    /// What is known of calls.
    pub measures: Arc<Measures>,
    /// Who is connected to the CRI socket.
    pub clients: Arc<Clients>,
    /// Events that clients did not get.
    pub losses: Losses,
}

impl Sources {
    /// What is told of this node; `socket` is its CRI socket.
    pub fn new(node: Arc<Node>, config: &Config, counters: Counters, socket: Bound, log: Log) -> Self {
        let damaged = node.machine.places.damaged();
        let health = Health::new(&node.machine.places.root, &node.machine.places.state, &config.shim, socket);
        Self {
            node,
            measures: counters.measures,
            clients: counters.clients,
            losses: counters.losses,
            damaged: Probe::new("damaged records", move || count_damaged(&damaged)),
            started: SystemTime::now(),
            log,
            log_level: config.log_level.clone(),
            health,
        }
    }

    /// What is right and wrong now.
    pub async fn health(&self) -> Vec<Finding> {
        let mut findings = self.health.look().await;
        let network = self.node.network.status().map_err(|why| format!("{}: {}", why.reason, why.message));
        findings.push(Finding { check: "network", result: network });
        findings
    }

    /// The level of the log.
    pub fn log_level(&self) -> &watch::Sender<Level> {
        &self.log_level
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }
}
