// SPDX-License-Identifier: Apache-2.0
//! Holds host ports: none for two pods, and none that a process of the node has.

use super::Pods;
use super::lease::Mapper;
use crate::binding::Place;
use crate::error::NetworkError;
use crate::reservation::Reservation;

impl Pods {
    /// Holds all of these, or none. What a plugin maps may clash with a process, as in every other runtime: it is the
    /// plugin's to say what then happens.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::Reserve`].
    pub(super) fn hold(&self, places: &[Place], mapper: Mapper) -> Result<Vec<(Place, Reservation)>, NetworkError> {
        for place in places {
            if let Some(pod_id) = self.holder(place) {
                return Err(NetworkError::HostPortTaken { place: *place, holder: format!("pod {pod_id}") });
            }
        }
        let take = |place: &Place| match take(place, places) {
            Err(error @ NetworkError::HostPortTaken { .. }) if mapper == Mapper::Plugin => {
                tracing::warn!(%error, "the plugin that maps it decides who gets the packets");
                Ok((*place, Reservation::without_socket()))
            }
            taken => Ok((*place, taken?)),
        };
        places.iter().map(take).collect()
    }

    fn holder(&self, wanted: &Place) -> Option<&str> {
        let mut all = self.by_id.iter();
        all.find(|(_, entry)| entry.held.iter().any(|(place, _)| place.collides(wanted))).map(|(id, _)| id.as_str())
    }
}

/// Takes one of a pod's places from the kernel. The socket of every address is also that of each single one.
pub(super) fn take(place: &Place, all: &[Place]) -> Result<Reservation, NetworkError> {
    if all.iter().any(|other| other != place && other.at.is_unspecified() && other.collides(place)) {
        Ok(Reservation::without_socket())
    } else {
        Reservation::take(place)
    }
}
