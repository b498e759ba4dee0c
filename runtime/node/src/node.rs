// SPDX-License-Identifier: Apache-2.0
//! The parts of one daemon, for the few verbs that need most of them. All others name the parts that they need.
//!
//! It does nothing by itself: the verbs' files work on objects, and [`Keeper`] applies the reports of shims to containers.

use crate::events::Events;
use crate::ids::{ContainerId, PodId};
use crate::keeper::Keeper;
use crate::machine::Machine;
use crate::networks::Networks;
use crate::objects::Objects;
use crate::operations::Operations;
use crate::settings::Settings;
use crate::usage::Usage;
use gorae_image_service::Images;
use gorae_stats::Stats;
use std::sync::Arc;

/// The parts of one daemon.
#[derive(Debug)]
pub struct Node {
    /// The configuration.
    pub settings: Settings,
    /// The facts that never change.
    pub machine: Arc<Machine>,
    /// The known pods and containers.
    pub objects: Arc<Objects>,
    /// Their changes, for GetContainerEvents.
    pub events: Arc<Events>,
    /// Keeps containers in line with their shims.
    pub keeper: Arc<Keeper>,
    /// The images of the node, and the layers that containers hold.
    pub images: Images,
    /// The networks that pods can be in.
    pub networks: Networks,
    /// Reads usage numbers.
    pub usage: Arc<Usage>,
    /// RunPodSandbox requests in flight.
    pub runs: Operations<PodId>,
    /// CreateContainer requests in flight.
    pub creates: Operations<ContainerId>,
    /// Log directories that are being made, by path: one that hangs costs one thread, however often it is requested.
    pub log_directories: Operations<()>,
}

/// Puts the parts of a daemon together, with no pods yet.
pub fn assemble(settings: Settings, machine: Machine, images: Images, networks: Networks) -> Arc<Node> {
    let (machine, objects) = (Arc::new(machine), Arc::new(Objects::default()));
    let events = Arc::new(Events::new(objects.clone()));
    let stats = Stats::new(machine.hierarchies.clone(), &machine.places.root);
    Arc::new(Node {
        keeper: Arc::new(Keeper::new(objects.clone(), machine.clone(), events.clone())),
        usage: Arc::new(Usage { objects: objects.clone(), machine: machine.clone(), stats }),
        settings,
        machine,
        objects,
        events,
        images,
        networks,
        runs: Operations::default(),
        creates: Operations::default(),
        log_directories: Operations::default(),
    })
}
