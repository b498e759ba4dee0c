// SPDX-License-Identifier: Apache-2.0
//! What an order depends on besides the request: facts of the node.

use crate::container::{Container, State};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::limits::OpenFiles;
use crate::places::Places;
use crate::pod::Pod;
use crate::settings::MissingHostPath;
use gorae_order::namespaces::Namespace;
use gorae_proto::shim::CgroupLayout;

/// Facts of the node.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where cgroups are mounted.
    pub layout: &'a CgroupLayout,
    /// Where directories are.
    pub places: &'a Places,
    /// All containers: one of them may be the target of pid mode TARGET.
    pub containers: &'a Index<Container>,
    /// The limit of open files that containers get.
    pub open_files: OpenFiles,
    /// What becomes of a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
}

impl Facts<'_> {
    /// The process namespace of the container that pid mode TARGET names.
    ///
    /// # Errors
    /// `InvalidArgument` when it is in another pod, `NotFound` when there is none; `FailedPrecondition` when it does not
    /// run.
    pub(super) fn processes_of(&self, pod: &Pod, target: &str) -> Result<Namespace> {
        let container = self.containers.find(target).map_err(|e| e.during("pid mode TARGET"))?;
        if container.record().pod_id != pod.id() {
            return Err(Error::invalid(format!("pid mode TARGET: container {target} is in another pod")));
        }
        match container.state() {
            State::Running { process, .. } => Ok(Namespace::OfProcess { pid: process.pid, start_ticks: process.start }),
            _ => Err(Error::precondition(format!("pid target {target:?} is not running in this pod"))),
        }
    }
}
