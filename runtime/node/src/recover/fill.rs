// SPDX-License-Identifier: Apache-2.0
//! Makes objects from the records. It calls no shim, and changes nothing except copies of ends.

use super::found::Found;
use crate::container::{self, Container, State, end, phase_of, time};
use crate::keeper::Keeper;
use crate::machine::Machine;
use crate::node::Node;
use crate::places::Places;
use crate::pod::{self, Pod};
use crate::{clock, ids};
use gorae_proto::shim::container_state::Phase;
use std::sync::Arc;

impl Found {
    /// Fills the indexes from records and state files, without calling a shim.
    pub fn fill(&self, node: &Arc<Node>) {
        self.pods.iter().map(|(record, _)| record.created_at).for_each(clock::was_given_out);
        self.containers.iter().map(|record| record.created_at).for_each(clock::was_given_out);
        for (record, up) in &self.pods {
            let up = up.clone().filter(pod::watch::is_alive);
            let pod = Pod::new(record.clone(), up.map_or(pod::State::NotReady, pod::State::Ready));
            pod::resources::restore(&node.machine.places.pod_root(&record.id), &pod);
            pod::settings::restore(&node.machine.places.pod_root(&record.id), &pod);
            node.objects.pods.insert(pod.clone());
            pod::upkeep::follow(node, &pod);
        }
        for record in &self.containers {
            let state = first_state(&node.machine, &node.keeper, record);
            let mut held: Vec<_> = record.image.layers.clone();
            held.extend(record.image_mounts.iter().flat_map(|m| m.layers.clone()));
            if let Err(error) = node.images.hold_layers(&held, &record.id) {
                tracing::error!(container = ids::short(&record.id), %error, "a layer of the container is lost");
            }
            node.objects.containers.insert(Container::new(record.clone(), state));
        }
    }
}

fn first_state(machine: &Machine, keeper: &Keeper, record: &container::Record) -> State {
    let (places, id) = (&machine.places, &record.id);
    let dir = places.container_root(id);
    match keeper.state_on_disk(id) {
        Ok(Some(state)) if phase_of(&state) != Phase::Exited && state.boot_id != machine.boot_id => {
            end::kept_or_lost(&dir, id, time(state.started_at_ns), "the machine was restarted")
        }
        Ok(Some(state)) => {
            let state = State::from_shim(&state);
            if let State::Exited(exit) = &state {
                // It ended while no daemon was running to keep a copy.
                end::keep_if_new(&dir, id, exit);
            }
            state
        }
        Ok(None) => match end::kept(&dir) {
            // The first start makes the writable layer. Without a pod, no start can be in progress.
            Ok(None) if places.pod_run(&record.pod_id).exists() || !was_started(places, record) => State::Created,
            _ => {
                let why = "the machine was restarted, or its state directory was removed";
                end::kept_or_lost(&dir, id, None, why)
            }
        },
        Err(error) => {
            tracing::error!(container = ids::short(id), %error, "cannot read the container's state");
            State::Starting
        }
    }
}

fn was_started(places: &Places, record: &container::Record) -> bool {
    places.container_root(&record.id).join("upper").exists()
}
