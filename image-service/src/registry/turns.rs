// SPDX-License-Identifier: Apache-2.0
//! The order in which hosts are tried for one object, and their failures.

use crate::registry::endpoint::Endpoint;
use crate::registry::endpoints::Registry;
use crate::registry::error::{Error, Failure};
use std::collections::VecDeque;
use std::time::Duration;

/// The hosts that have not been tried yet.
#[derive(Debug)]
pub struct Turns {
    waiting: VecDeque<usize>,
    /// Those that were recently unreachable.
    set_aside: VecDeque<usize>,
}

impl Turns {
    /// All hosts that are `able`, in order.
    pub fn new(registry: &Registry, able: impl Fn(&Endpoint) -> bool) -> Self {
        let able = registry.endpoints.iter().enumerate().filter(|(_, endpoint)| able(endpoint));
        Self { waiting: able.map(|(place, _)| place).collect(), set_aside: VecDeque::new() }
    }

    /// Returns the next host and its number of attempts. A host that was recently unreachable is tried once, after no other
    /// host provided the object. A definite response of the registry itself ends the search.
    pub fn next(&mut self, registry: &Registry, failures: &Failures) -> Option<(usize, u32)> {
        while let Some(place) = self.waiting.pop_front() {
            let endpoint = &registry.endpoints[place];
            if !endpoint.is_lost() {
                return Some((place, registry.attempts(endpoint)));
            }
            self.set_aside.push_back(place);
        }
        if failures.origin.is_some() {
            return None;
        }
        self.set_aside.pop_front().map(|place| (place, 1))
    }
}

/// The failures of all hosts, and the final error.
#[derive(Debug, Default)]
pub struct Failures {
    pub passing: Vec<String>,
    mirror: Option<Error>,
    pub origin: Option<Error>,
    /// The registry's own name, if it does not resolve.
    unknown: Option<String>,
}

impl Failures {
    /// Records a failure. Returns the pause that the host requested, `None` if a retry is pointless. `over` is how long an
    /// unreachable host is tried last; it is given if this was the last attempt of the turn.
    pub fn note(&mut self, endpoint: &Endpoint, failure: Failure, over: Option<Duration>) -> Option<Option<Duration>> {
        let (why, after) = match failure {
            Failure::Final(error) => {
                self.add_final(endpoint, error);
                return None;
            }
            Failure::Unreached { why, unknown } => {
                if endpoint.site.host.is_origin {
                    self.unknown = unknown;
                }
                if let Some(pause) = over {
                    endpoint.lost(&why, pause);
                }
                (why, None)
            }
            Failure::Passing { why, after } => (why, after),
            Failure::Rest { why, .. } => (why, None),
        };
        self.add_passing(endpoint, &why);
        Some(after)
    }

    /// Records a transient failure.
    pub fn add_passing(&mut self, endpoint: &Endpoint, why: &str) {
        let host = format!("{}: ", endpoint.site.name());
        self.passing.retain(|known| !known.starts_with(&host));
        self.passing.push(format!("{host}{why}"));
    }

    /// Records a final failure.
    fn add_final(&mut self, endpoint: &Endpoint, error: Error) {
        let place = if endpoint.site.host.is_origin { &mut self.origin } else { &mut self.mirror };
        *place = Some(error);
    }

    /// Returns the final error. A definite response of the registry itself takes precedence. Without one the image may well
    /// exist, so it is unavailable.
    pub fn into_error(mut self, what: &str) -> Error {
        if let Some(error) = self.origin {
            return error;
        }
        if let Some(error) = self.mirror {
            if self.passing.is_empty() {
                return error;
            }
            self.passing.insert(0, error.to_string());
        }
        let tried = if self.passing.is_empty() { "no host may serve it".to_owned() } else { self.passing.join("; ") };
        Error::Unavailable { what: what.to_owned(), tried, unknown: self.unknown }
    }
}
