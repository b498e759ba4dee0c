// SPDX-License-Identifier: Apache-2.0
//! What the listener reports on: the node and the daemon's counters.

use crate::config::Config;
use crate::cri::Losses;
use crate::health::checks::{Bound, count_damaged};
use crate::health::{Finding, Health, Probe};
use crate::log::{Level, Log};
use crate::rpc::Measures;
use crate::rpc::clients::Clients;
use gorae_node::Node;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// Everything that the listener reports, and the one setting that it changes.
#[derive(Debug)]
pub struct Sources {
    /// The node.
    pub node: Arc<Node>,
    /// Counts and durations of calls.
    pub measures: Arc<Measures>,
    /// The clients that are connected to the CRI socket.
    pub clients: Arc<Clients>,
    /// Events that clients missed.
    pub losses: Losses,
    /// The number of objects whose records are damaged.
    pub damaged: Probe<u64>,
    /// When the daemon was started.
    pub started: SystemTime,
    log: Log,
    log_level: Arc<watch::Sender<Level>>,
    health: Health,
}

/// The counters of a daemon.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Counts and durations of calls.
    pub measures: Arc<Measures>,
    /// The clients that are connected to the CRI socket.
    pub clients: Arc<Clients>,
    /// Events that clients missed.
    pub losses: Losses,
}

impl Sources {
    /// The sources of this node; `socket` is its CRI socket.
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

    /// Runs all health checks.
    pub async fn health(&self) -> Vec<Finding> {
        let mut findings = self.health.check().await;
        let network = self.node.networks.status().map_err(|why| format!("{}: {}", why.reason, why.message));
        findings.push(Finding { check: "network", result: network });
        findings
    }

    /// The log level in force.
    pub fn log_level(&self) -> &watch::Sender<Level> {
        &self.log_level
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }
}
