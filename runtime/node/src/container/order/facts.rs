// SPDX-License-Identifier: Apache-2.0
//! Facts about the node that an order depends on besides the request.

use crate::container::{Record, State};
use crate::disposable::PlainData;
use crate::error::{Error, Result};
use crate::ids::PodId;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::open_files::OpenFiles;
use crate::places::Places;
use crate::settings::MissingHostPath;
use gorae_order::namespaces::Namespace;
use gorae_proto::cri::NamespaceMode;
use gorae_proto::shim::CgroupLayout;

/// Facts about the node. They are copied, because an order is built on a disposable thread.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The node's cgroup layout.
    pub layout: CgroupLayout,
    /// The daemon's directories.
    pub places: Places,
    /// The PID namespace that pid mode TARGET names, if the container has that mode.
    pub target: Option<Namespace>,
    /// The limit of open files that containers get.
    pub open_files: OpenFiles,
    /// What to do about a mount whose host path does not exist.
    pub missing_host_path: MissingHostPath,
}

/// Text, numbers and paths.
impl PlainData for Facts {}

impl Facts {
    /// Collects the facts for one container.
    ///
    /// # Errors
    /// `InvalidArgument` when the target of pid mode TARGET is in another pod, `NotFound` when it does not exist;
    /// `FailedPrecondition` when it is not running.
    pub fn of(
        machine: &Machine,
        objects: &Objects,
        missing_host_path: MissingHostPath,
        record: &Record,
    ) -> Result<Self> {
        let security = super::security::context(&record.config);
        let asked = security.namespace_options.as_ref();
        let target = asked.filter(|options| options.pid() == NamespaceMode::Target);
        Ok(Self {
            layout: machine.layout.clone(),
            places: machine.places.clone(),
            target: target.map(|options| processes_of(objects, &record.pod_id, &options.target_id)).transpose()?,
            open_files: machine.open_files,
            missing_host_path,
        })
    }
}

/// The PID namespace of a container of the pod.
fn processes_of(objects: &Objects, pod_id: &PodId, target: &str) -> Result<Namespace> {
    let container = objects.containers.find(target).map_err(|e| e.during("pid mode TARGET"))?;
    if container.record().pod_id != *pod_id {
        return Err(Error::invalid(format!("pid mode TARGET: container {target} is in another pod")));
    }
    match container.state() {
        State::Running { process: Some(process), .. } => Ok(Namespace::OfProcess(process)),
        State::Running { process: None, .. } => {
            Err(Error::precondition(format!("pid target {target:?}: its shim did not identify its first process")))
        }
        _ => Err(Error::precondition(format!("pid target {target:?} is not running in this pod"))),
    }
}
