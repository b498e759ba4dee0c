// SPDX-License-Identifier: Apache-2.0
//! One pull, from its reference to a committed image.
//!
//! ```text
//! hosts.toml → HEAD, when the name is known: nothing new? → manifest, config → all layers at once → commit
//! ```
//!
//! Every pull contacts the registry, even when everything is present, to check that the credentials may read the image.
//! Dropping the future stops the downloads and removes unpacked data; a commit that has started is completed.

mod flight;
mod layer;
mod parts;
pub mod progress;
mod run;
mod task;

pub use flight::Flights;
pub use parts::Parts;
pub use run::run;
pub use task::Outcome;
