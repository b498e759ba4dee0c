// SPDX-License-Identifier: Apache-2.0
//! Images of a Gorae node: registries, unpacking, and the store for layers and images.
//!
//! ```text
//! Service (CRI) ─ Images ─ pull ─ reference → hosts.toml → registry → unpack → store
//!                    └──── find, list, hold, usage: memory only ───────────────┘
//! ```
//!
//! The daemon uses [`Images`]; [`Service`] and [`ProgressService`] expose it over gRPC. The library never mounts anything
//! and does not know about containers: a caller that needs layers holds them under a name of its choice.

#![forbid(unsafe_code)]

pub mod config;
mod error;
mod gc;
mod image;
mod images;
mod progress_service;
mod pull;
mod registry;
mod service;
mod store;

pub use config::Config;
pub use error::{Error, Kind};
pub use gc::Collected;
pub use gorae_image_formats::platform::Platform;
pub use gorae_image_formats::reference;
pub use gorae_image_formats::user::User;
pub use gorae_unpack::{Limits, Reserve};
pub use image::{Held, Image};
pub use images::Images;
pub use progress_service::ProgressService;
pub use pull::progress::{LayerProgress, PullProgress, Stage, Watch};
pub use service::Service;
pub use store::{NameRemoval, Usage};
