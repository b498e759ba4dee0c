// SPDX-License-Identifier: Apache-2.0
//! What the shim is told of a container: a pure function of the record, the pod and the node's facts.
//!
//! It runs at create, so that a request that cannot work fails there, and again at start.

pub mod devices;
pub mod facts;
pub mod hooks;
pub mod mounts;
pub mod namespaces;
pub mod oci;
pub mod process;
pub mod resources;
pub mod security;

use super::Record;
use crate::disposable::PlainData;
use crate::error::{Error, Result};
use crate::open_files::OpenFiles;
use crate::places::Places;
use crate::pod::Pod;
use gorae_kernel::process::ProcessId;
use gorae_proto::cri;
use gorae_proto::shim::{self, CgroupLayout, CgroupPlace};

/// Facts of the node that a spec depends on, copied: a spec is built on a disposable thread.
#[derive(Debug)]
pub struct Context {
    /// Where cgroups are mounted.
    pub layout: CgroupLayout,
    /// Where directories are.
    pub places: Places,
    /// The first process of the target container, for pid mode TARGET.
    pub target: Option<ProcessId>,
    /// The limit of open files that containers get.
    pub open_files: OpenFiles,
    /// Whether a host path that is missing is made for a mount of the request.
    pub make_missing_sources: bool,
}

/// Text, numbers and paths.
impl PlainData for Context {}

/// The security context of a request; unset means the message's zero values.
pub fn security_context(config: &cri::ContainerConfig) -> cri::LinuxContainerSecurityContext {
    config.linux.as_ref().and_then(|l| l.security_context.clone()).unwrap_or_default()
}

/// Builds the shim's order.
///
/// # Errors
/// `InvalidArgument` with the field for a request that cannot be right; `FailedPrecondition` and
/// `Unimplemented` for one that this node cannot serve.
pub fn build(record: &Record, pod: &Pod, node: &Context) -> Result<shim::Start> {
    let config = &record.config;
    let security = security_context(config);
    security::selinux(security.selinux_options.as_ref())?;
    let user_mapping = pod.user_mapping();
    let process = process::build(record, node.open_files, &security)?;
    let (devices, device_rules) = devices::build(config, &record.cdi, security.privileged)?;
    let mut order = shim::Start {
        container_id: record.id.to_string(),
        run_dir: node.places.container_run(&record.id).to_string_lossy().into_owned(),
        root_dir: node.places.container_root(&record.id).to_string_lossy().into_owned(),
        rootfs: Some(shim::Rootfs {
            layers: record.image.layers.iter().map(|l| l.to_string_lossy().into_owned()).collect(),
            readonly: security.readonly_rootfs,
            propagation: mounts::root_propagation(&config.mounts).into(),
            mount_label: String::new(),
            directories: record.process.volumes.clone(),
        }),
        namespaces: namespaces::build(pod, &security, node)?,
        mounts: mounts::build(record, pod, node, &security)?,
        devices,
        device_rules,
        masked_paths: if security.privileged { Vec::new() } else { paths("masked_paths", &security.masked_paths)? },
        readonly_paths: if security.privileged {
            Vec::new()
        } else {
            paths("readonly_paths", &security.readonly_paths)?
        },
        cgroup: Some(CgroupPlace { layout: Some(node.layout.clone()), path: record.cgroup.clone() }),
        resources: Some(resources::build(config.linux.as_ref().and_then(|l| l.resources.as_ref()), &node.layout)?),
        log_path: record.log_path.clone().unwrap_or_default(),
        stdin: config.stdin,
        stdin_once: config.stdin_once,
        stop_signal: record.process.stop_signal.to_string(),
        user_mapping,
        private_cgroup_namespace: !security.privileged,
        hostname: String::new(),
        max_log_line_bytes: 0,
        privileged: security.privileged,
        device_program: false,
        process: Some(process),
        hooks: None,
    };
    order.hooks = hooks::build(record, &order);
    Ok(order)
}

/// Most entries of a list of paths.
const MAX_PATHS: usize = 1024;

fn paths(field: &str, list: &[String]) -> Result<Vec<String>> {
    if list.len() > MAX_PATHS {
        return Err(Error::invalid(format!("{field}: more than {MAX_PATHS} paths")));
    }
    list.iter().map(|path| clean_path(field, path)).collect()
}

/// A path inside the container, absolute and without `.`, `..` and doubled slashes.
///
/// # Errors
/// `InvalidArgument` when it is relative, has a NUL, or is over 4096 bytes.
pub fn clean_path(field: &str, path: &str) -> Result<String> {
    if path.len() > 4096 {
        return Err(Error::invalid(format!("{field}: a path of {} bytes is longer than 4096", path.len())));
    }
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::invalid(format!("{field}: {path:?} is not an absolute path")));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::clean_path;

    #[test]
    fn paths_are_cleaned_and_cannot_leave_the_root() {
        for (given, clean) in [("/a/b", "/a/b"), ("/a//b/./c/", "/a/b/c"), ("/../../etc", "/etc"), ("/", "/")] {
            assert_eq!(clean_path("x", given).expect("absolute"), clean);
        }
        for bad in ["", "a", "./a", "/a\0"] {
            assert!(clean_path("x", bad).is_err(), "{bad:?}");
        }
        let error = clean_path("x", &format!("/{}", "a".repeat(1 << 20))).expect_err("too long").to_string();
        assert!(error.len() < 100, "{error:.200}");
    }
}
