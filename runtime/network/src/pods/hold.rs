// SPDX-License-Identifier: Apache-2.0
//! Holds host ports: none for two pods, and none that a process of the node has.

use super::Pods;
use crate::binding::Place;
use crate::error::NetworkError;
use crate::reservation::Reservation;

impl Pods {
    /// Holds all of these, or none.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::Reserve`].
    pub(super) fn hold(&self, places: &[Place]) -> Result<Vec<(Place, Reservation)>, NetworkError> {
        for (i, place) in places.iter().enumerate() {
            if places[..i].iter().any(|other| other.collides(place)) {
                return Err(NetworkError::HostPortTaken { place: *place, holder: "this pod itself".into() });
            }
            if let Some(pod_id) = self.holder(place) {
                return Err(NetworkError::HostPortTaken { place: *place, holder: format!("pod {pod_id}") });
            }
        }
        places.iter().map(|place| Ok((*place, Reservation::take(place)?))).collect()
    }

    fn holder(&self, wanted: &Place) -> Option<&str> {
        let mut all = self.by_id.iter();
        all.find(|(_, entry)| entry.places().any(|place| place.collides(wanted))).map(|(id, _)| id.as_str())
    }
}

impl super::Entry {
    /// The host ports that are the pod's, those of an adopted pod that could not be held included.
    fn places(&self) -> impl Iterator<Item = Place> {
        self.held.iter().map(|(place, _)| *place).chain(self.bindings.iter().map(|binding| binding.place))
    }
}
