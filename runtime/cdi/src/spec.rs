// SPDX-License-Identifier: Apache-2.0
//! One spec file: its format and its checks. An unknown field is an error, because the device's safety may depend on it.

use super::name::{check_device, check_kind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The versions of the specification that are supported.
const VERSIONS: [&str; 10] = ["0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"];
/// The points of a container's life at which a hook runs.
const HOOKS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
/// Largest number of devices in a file, and of entries in each list of edits.
const MAX_ENTRIES: usize = 16_384;

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

/// Changes to a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerEdits {
    /// `NAME=VALUE`.
    pub env: Vec<String>,
    /// Nodes in the container.
    pub device_nodes: Vec<DeviceNode>,
    /// Interfaces of the host that move into the container.
    pub net_devices: Vec<NetDevice>,
    /// Files and directories of the host.
    pub mounts: Vec<Mount>,
    /// Programs that run at certain points of the container's life.
    pub hooks: Vec<Hook>,
    /// Supplementary groups of the process.
    pub additional_gids: Vec<u32>,
    /// Cache and memory bandwidth.
    pub intel_rdt: Option<IntelRdt>,
}

/// A device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeviceNode {
    /// Path in the container, absolute.
    pub path: String,
    /// Path on the host; empty: the same path.
    pub host_path: String,
    /// `b`, `c`, `u` or `p`; empty: the host's.
    #[serde(rename = "type")]
    pub kind: String,
    /// The major number; 0: the numbers of the host's node.
    pub major: u32,
    /// The minor number that goes with `major`.
    pub minor: u32,
    /// Unset: the host's.
    pub file_mode: Option<u32>,
    /// Subset of `rwm`; empty: all three.
    pub permissions: String,
    /// Unset: the container's process owns it.
    pub uid: Option<u32>,
    /// Unset: the group of the container's process.
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Path on the host.
    pub host_path: String,
    /// Path in the container, absolute.
    pub container_path: String,
    /// Empty or `bind`: a bind mount; `tmpfs`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Options of mount(8).
    #[serde(default)]
    pub options: Vec<String>,
}

/// A program that runs at a point of the container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// The point, as the OCI runtime specification names it.
    pub hook_name: String,
    /// The program, absolute.
    pub path: String,
    /// Its arguments, its own name included.
    #[serde(default)]
    pub args: Vec<String>,
    /// `NAME=VALUE`.
    #[serde(default)]
    pub env: Vec<String>,
    /// Seconds; unset: the daemon's own limit.
    #[serde(default)]
    pub timeout: Option<u32>,
}

/// Intel Resource Director Technology.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct IntelRdt {
    #[serde(rename = "closID")]
    pub clos_id: String,
    pub l3_cache_schema: String,
    pub mem_bw_schema: String,
    #[serde(rename = "enableCMT")]
    pub enable_cmt: bool,
    #[serde(rename = "enableMBM")]
    pub enable_mbm: bool,
    pub schemata: Vec<String>,
    pub enable_monitoring: bool,
}

/// A network interface of the host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetDevice {
    /// Its name on the host.
    pub host_interface_name: String,
    /// Its name in the container.
    pub name: String,
}

impl Spec {
    /// Reads JSON or YAML and checks it.
    pub(super) fn parse(text: &str, yaml: bool) -> Result<Self, String> {
        let spec: Self = if yaml {
            // The tools for this format read and write YAML 1.1, in which 0666 is octal.
            let options = serde_saphyr::options! {
                budget: serde_saphyr::budget! { max_aliases: 1000, max_documents: 1, max_depth: 32 },
                legacy_octal_numbers: true,
            };
            serde_saphyr::from_str_with_options(text, options).map_err(|e| first_line(&e.to_string()))?
        } else {
            serde_json::from_str(text).map_err(|e| e.to_string())?
        };
        spec.check().map(|()| spec)
    }

    fn check(&self) -> Result<(), String> {
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

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
cdiVersion: 0.7.0
kind: vendor.com/gpu
annotations: {note: for people}
containerEdits:
  env: [ALL=1]
  hooks:
  - hookName: createContainer
    path: /usr/bin/tool
    args: [tool, hook, update-ldcache, --folder, /usr/lib64]
    timeout: 5
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - path: /dev/gpu0
      hostPath: /dev/null
      fileMode: 0666
      permissions: rw
      uid: 5
    mounts:
    - {hostPath: /lib/a, containerPath: /lib/a, options: [ro, rbind]}
    additionalGids: [44]
    intelRdt: {closID: class, l3CacheSchema: \"L3:0=f\"}
";

    #[test]
    fn a_yaml_file_with_everything_is_read() {
        let spec = Spec::parse(YAML, true).expect("reads");
        assert_eq!((spec.kind.as_str(), spec.devices[0].name.as_str()), ("vendor.com/gpu", "0"));
        let edits = &spec.devices[0].container_edits;
        assert_eq!((edits.device_nodes[0].file_mode, edits.device_nodes[0].uid), (Some(0o666), Some(5)));
        assert_eq!((edits.additional_gids[0], edits.mounts[0].options.len()), (44, 2));
        assert_eq!(spec.container_edits.hooks[0].timeout, Some(5));
    }

    #[test]
    fn what_is_not_right_is_refused_with_its_place() {
        for (from, to, said) in [
            ("0.7.0", "9.0.0", "cdiVersion"),
            ("vendor.com/gpu", "vendor.com", "kind"),
            ("ALL=1", "ALL", "env"),
            ("/usr/bin/tool", "tool", "path"),
            ("createContainer", "later", "hookName"),
            ("timeout: 5", "timeout: 0", "timeout"),
            ("permissions: rw", "permissions: rx", "permissions"),
            ("fileMode", "filemode", "filemode"),
            ("path: /dev/gpu0", "path: dev/gpu0", "dev/gpu0"),
            ("name: \"0\"", "name: \"\"", "device"),
            ("kind: vendor.com/gpu\n", "", "kind"),
        ] {
            let text = YAML.replacen(from, to, 1);
            assert_ne!(text, YAML, "{from}");
            let error = Spec::parse(&text, true).expect_err(said);
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn aliases_do_not_multiply() {
        let mut text =
            String::from("cdiVersion: 0.7.0\nkind: v/c\ndevices: []\nannotations:\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let below = format!("*a{},", level - 1).repeat(9);
            text.push_str(&format!("  a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
        }
        assert!(Spec::parse(&text, true).is_err());
    }
}
