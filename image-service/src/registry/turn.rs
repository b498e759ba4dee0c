// SPDX-License-Identifier: Apache-2.0
//! A host's turn at a download: how many attempts it has, and what it is known not to support.

use crate::registry::error::{Error, Failure};
use crate::registry::rest::Validator;

/// How many requests for the rest may fail before the whole is requested: one failure may be bad luck.
const BAD_LUCK: u32 = 1;

/// A host's turn.
#[derive(Debug)]
pub struct Turn {
    /// Index of the endpoint.
    pub place: usize,
    /// Number of attempts allowed.
    pub allowed: u32,
    /// Number of attempts made.
    pub attempt: u32,
    /// Whether the whole was already requested once more without counting it as an attempt.
    pub begun_anew: bool,
    /// Whether the host does not support requests for a part.
    pub no_parts: bool,
    rest_failed: u32,
    /// The version of the blob that it reports.
    pub validator: Validator,
}

impl Turn {
    /// Starts a turn.
    pub fn new(place: usize, allowed: u32) -> Self {
        let validator = Validator::default();
        Self { place, allowed, attempt: 0, begun_anew: false, no_parts: false, rest_failed: 0, validator }
    }

    /// Turns the failure of a request for the rest into one that still allows a request for the whole: the host may just
    /// not support requests for a part.
    pub fn rest_refused(&mut self, failure: Failure) -> Failure {
        let why = match &failure {
            Failure::Unreached { .. } | Failure::Rest { .. } | Failure::Final(Error::Untrusted { .. }) => {
                return failure;
            }
            Failure::Final(error) => error.to_string(),
            Failure::Passing { why, .. } => {
                self.rest_failed += 1;
                if self.rest_failed <= BAD_LUCK && self.attempt + 1 < self.allowed {
                    return failure;
                }
                why.clone()
            }
        };
        Failure::Rest { why, no_parts: true }
    }
}
