// SPDX-License-Identifier: Apache-2.0
//! The file as a whole.

use super::container_edits::ContainerEdits;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A spec file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Version of the specification.
    pub cdi_version: String,
    /// `VENDOR/CLASS`.
    pub kind: String,
    /// Notes for people and tools; they have no effect here.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The devices of the kind.
    pub devices: Vec<Device>,
    /// Edits that apply when any of the devices is requested.
    #[serde(default)]
    pub container_edits: ContainerEdits,
}

/// A device of a kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Its name within the kind.
    pub name: String,
    /// Notes for people and tools; they have no effect here.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The edits that it makes to a container.
    pub container_edits: ContainerEdits,
}
