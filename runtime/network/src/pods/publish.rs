// SPDX-License-Identifier: Apache-2.0
//! Marks which host ports belong in the table, and which pods are gone; [`crate::table`] tells what nft made of it.

use super::publication::{Event, Publication, Step};
use super::{Entry, Pods};
use crate::binding::Binding;
use crate::error::NetworkError;
use crate::way::Ways;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

impl Pods {
    /// The addresses of a pod that its host ports lead to.
    ///
    /// # Errors
    /// [`NetworkError::NotPrepared`].
    pub fn targets(&self, pod_id: &str) -> Result<BTreeSet<IpAddr>, NetworkError> {
        let entry = self.by_id.get(pod_id).ok_or_else(|| NetworkError::NotPrepared { pod_id: pod_id.into() })?;
        Ok(entry.bindings.iter().map(|binding| binding.to.ip()).collect())
    }

    /// The addresses that host ports in the table lead to.
    pub fn all_targets(&self) -> BTreeSet<IpAddr> {
        let wanted = self.by_id.values().filter(|entry| entry.publication == Publication::Wanted);
        wanted.flat_map(|entry| entry.bindings.iter().map(|binding| binding.to.ip())).collect()
    }

    /// Records whom the pods answer without the node in between.
    pub fn know_ways(&mut self, ways: &Ways) {
        let bindings = self.by_id.values_mut().flat_map(|entry| &mut entry.bindings);
        for binding in bindings {
            if let Some(way) = ways.get(&binding.to.ip()) {
                binding.beside = way.on_link;
            }
        }
    }

    /// Marks the pod's host ports as wanted in the table, and returns them.
    ///
    /// # Errors
    /// [`NetworkError::NotPrepared`].
    pub fn want(&mut self, pod_id: &str) -> Result<Vec<Binding>, NetworkError> {
        let bindings = self.bindings(pod_id);
        // Without host ports there is nothing that could be in the table.
        if self.by_id.contains_key(pod_id) && bindings.is_empty() {
            return Ok(bindings);
        }
        match self.advance(pod_id, Event::Want) {
            Some(Step::Become(_)) => Ok(bindings),
            _ => Err(NetworkError::NotPrepared { pod_id: pod_id.into() }),
        }
    }

    /// Marks the pod's host ports as unwanted, and returns those that may be in the table. When none are, they are free
    /// at once.
    pub fn unwant(&mut self, pod_id: &str) -> Vec<Binding> {
        match self.advance(pod_id, Event::Unwant) {
            Some(Step::Become(_)) => self.bindings(pod_id),
            _ => Vec::new(),
        }
    }

    /// Records that the pod's host ports are out of the table.
    pub fn removed(&mut self, pod_id: &str) {
        self.advance(pod_id, Event::Removed);
    }

    /// The bindings that the whole table should hold, and the pods they belong to.
    pub fn wanted(&self) -> (Vec<Binding>, HashSet<String>) {
        let wanted = || self.by_id.iter().filter(|(_, entry)| entry.publication == Publication::Wanted);
        let bindings = wanted().flat_map(|(_, entry)| entry.bindings.iter().copied()).collect();
        (bindings, wanted().map(|(id, _)| id.clone()).collect())
    }

    /// Records that the table was rewritten and holds the host ports of these pods and of no others.
    pub fn rewritten(&mut self, holding: &HashSet<String>) {
        let is_out = |id: &str, entry: &Entry| entry.publication.is_leaving() && !holding.contains(id);
        let out = self.by_id.iter().filter(|(id, entry)| is_out(id, entry)).map(|(id, _)| id.clone());
        for pod_id in out.collect::<Vec<_>>() {
            self.removed(&pod_id);
        }
    }

    /// Forgets a pod that is gone: its address is free, unless a rule may still point to it. Returns whether it is
    /// free.
    pub fn forget(&mut self, pod_id: &str) -> bool {
        !matches!(self.advance(pod_id, Event::Forget), Some(Step::Become(_)))
    }

    /// Takes the step that an event asks for; `None` for a pod that has no reservation.
    fn advance(&mut self, pod_id: &str, event: Event) -> Option<Step> {
        let entry = self.by_id.get_mut(pod_id)?;
        let step = entry.publication.after(event);
        match step {
            Step::Become(next) => entry.publication = next,
            Step::LetGo => entry.let_go(),
            Step::Drop => self.drop_entry(pod_id),
            Step::Refuse => {}
        }
        Some(step)
    }

    fn drop_entry(&mut self, pod_id: &str) {
        if let Some(number) = self.by_id.remove(pod_id).and_then(|entry| entry.number) {
            self.give(number);
        }
    }

    fn bindings(&self, pod_id: &str) -> Vec<Binding> {
        self.by_id.get(pod_id).map(|entry| entry.bindings.clone()).unwrap_or_default()
    }
}
