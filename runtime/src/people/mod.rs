// SPDX-License-Identifier: Apache-2.0
//! `gorae.v1.Pods` and `gorae.v1.Networks`: pods of people, and the networks that they make. Each call finds its objects, runs
//! the verb, and converts the result to a message.

mod definition;
mod listing;
mod networks;
mod pods;

pub use networks::NetworkService;
pub use pods::PodService;
