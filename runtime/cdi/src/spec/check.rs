// SPDX-License-Identifier: Apache-2.0
//! The checks of a spec file that its types cannot make.

use super::container_edits::{ContainerEdits, DeviceNode, Hook};
use super::document::Spec;
use crate::name::{check_device, check_kind};
use std::collections::BTreeSet;

/// The versions of the specification that are supported.
const VERSIONS: [&str; 10] = ["0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"];

/// The points of a container's life at which a hook runs.
const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Largest number of devices in a file, and of entries in each list of edits.
const MAX_ENTRIES: usize = 16_384;

impl Spec {
    /// Checks the whole file.
    pub(super) fn check(&self) -> Result<(), String> {
        let version = self.cdi_version.strip_prefix('v').unwrap_or(&self.cdi_version);
        if !VERSIONS.contains(&version) {
            return Err(format!("cdiVersion {:?} is not supported (the newest is 1.1.0)", self.cdi_version));
        }
        check_kind(&self.kind).map_err(|why| format!("kind: {why}"))?;
        self.container_edits.check()?;
        if self.devices.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} devices"));
        }
        let mut names = BTreeSet::new();
        for device in &self.devices {
            check_device(&device.name).map_err(|why| format!("device: {why}"))?;
            if !names.insert(&device.name) {
                return Err(format!("device {:?} is listed twice", device.name));
            }
            device.container_edits.check().map_err(|why| format!("device {:?}: {why}", device.name))?;
        }
        Ok(())
    }
}

impl ContainerEdits {
    fn check(&self) -> Result<(), String> {
        let lists = [self.env.len(), self.device_nodes.len(), self.mounts.len(), self.hooks.len()];
        if lists.iter().any(|&len| len > MAX_ENTRIES) || self.additional_gids.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} entries"));
        }
        variables(&self.env)?;
        self.device_nodes.iter().try_for_each(DeviceNode::check)?;
        for mount in &self.mounts {
            absolute("containerPath", &mount.container_path)?;
            if mount.kind != "tmpfs" {
                absolute("hostPath", &mount.host_path)?;
            }
        }
        self.hooks.iter().try_for_each(Hook::check)
    }
}

impl DeviceNode {
    fn check(&self) -> Result<(), String> {
        absolute("path", &self.path)?;
        if !self.host_path.is_empty() {
            absolute("hostPath", &self.host_path)?;
        }
        if !["", "b", "c", "u", "p"].contains(&self.kind.as_str()) {
            return Err(format!("type {:?} is not b, c, u or p", self.kind));
        }
        if !self.permissions.chars().all(|c| "rwm".contains(c)) || self.permissions.len() > 3 {
            return Err(format!("permissions {:?} are not a subset of rwm", self.permissions));
        }
        Ok(())
    }
}

impl Hook {
    fn check(&self) -> Result<(), String> {
        if !HOOKS.contains(&self.hook_name.as_str()) {
            return Err(format!("hookName {:?} is not a point of a container's life", self.hook_name));
        }
        absolute("path", &self.path)?;
        variables(&self.env)?;
        if self.args.iter().any(|a| a.contains('\0')) {
            return Err("args: a NUL byte".into());
        }
        if self.timeout == Some(0) {
            return Err("timeout: must be greater than 0".into());
        }
        Ok(())
    }
}

fn variables(env: &[String]) -> Result<(), String> {
    match env.iter().find(|v| v.contains('\0') || v.split_once('=').is_none_or(|(name, _)| name.is_empty())) {
        Some(bad) => Err(format!("env: {bad:?} is not NAME=VALUE")),
        None => Ok(()),
    }
}

fn absolute(field: &str, path: &str) -> Result<(), String> {
    if path.starts_with('/') && path.len() <= 4096 && !path.contains('\0') {
        return Ok(());
    }
    Err(format!("{field}: {path:?} is not an absolute path"))
}
