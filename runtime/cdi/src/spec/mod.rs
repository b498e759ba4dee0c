// SPDX-License-Identifier: Apache-2.0
//! One spec file: its format and its checks. An unknown field is an error, because the device's safety may depend on it.

mod check;
mod container_edits;
mod document;
mod parse;

pub use container_edits::{ContainerEdits, DeviceNode, Hook, Mount};
pub use document::{Device, Spec};
pub(crate) use parse::Format;

#[cfg(test)]
mod tests;
