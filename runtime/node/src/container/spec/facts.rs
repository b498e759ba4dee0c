// SPDX-License-Identifier: Apache-2.0
//! Facts of the node that one container's spec needs.

use super::{Context, security_context};
use crate::container::{self, State};
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::pod::{self, Pod};
use crate::settings::MissingHostPath;
use gorae_kernel::process::ProcessId;
use gorae_proto::cri::NamespaceMode;
use std::sync::Arc;

/// Where the facts come from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The machine.
    pub machine: Arc<Machine>,
    /// Where a target of pid mode TARGET is looked up.
    pub objects: Arc<Objects>,
    /// What becomes of a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
}

impl Facts {
    /// The facts for one container.
    ///
    /// # Errors
    /// `InvalidArgument` when the target of pid mode TARGET is not named or is in another pod.
    pub fn of(&self, pod: &Pod, record: &container::Record) -> Result<Context> {
        let options = security_context(&record.config).namespace_options;
        let target = match options.filter(|o| o.pid() == NamespaceMode::Target) {
            Some(options) => self.target(pod, &options.target_id)?,
            None => None,
        };
        Ok(Context {
            layout: self.machine.layout.clone(),
            places: self.machine.places.clone(),
            target,
            open_files: self.machine.open_files,
            make_missing_sources: self.missing_host_path == MissingHostPath::Create,
        })
    }

    fn target(&self, pod: &Pod, target: &str) -> Result<Option<ProcessId>> {
        let container = self.objects.containers.find(target).map_err(|e| e.during("pid mode TARGET"))?;
        if container.record().pod_id != *pod.id() {
            return Err(Error::invalid(format!("pid mode TARGET: container {target} is in another pod")));
        }
        match container.state() {
            State::Running { process, .. } => Ok(Some(process)),
            _ => Ok(None),
        }
    }
}

/// The name that the pod's processes see: the one it asks for, or the node's.
pub fn hostname_of(record: &pod::Record) -> String {
    if record.config.hostname.is_empty() {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    record.config.hostname.clone()
}
