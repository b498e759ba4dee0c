// SPDX-License-Identifier: Apache-2.0
//! What only a machine with every controller on cgroup v2 can show; `make test-vm` runs it on one.

mod devices;
mod ends;
mod limits;
mod memory;
mod parents;
mod resize;
mod restart;
mod statistics;

use gorae_proto::cri::{LinuxContainerResources, UpdateContainerResourcesRequest};
use gorae_tests::{Container, Pod};
use std::path::{Path, PathBuf};

const MIB: i64 = 1 << 20;

/// The cgroup of a container's first process.
async fn group(container: &Container) -> PathBuf {
    assert!(Path::new("/sys/fs/cgroup/cgroup.controllers").exists(), "this machine has no pure cgroup v2");
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups.trim_end().strip_prefix("0::").expect("there is one hierarchy");
    PathBuf::from(format!("/sys/fs/cgroup{path}"))
}

/// What a file of the cgroup says.
fn said(group: &Path, file: &str) -> String {
    let path = group.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

/// Writes a file of the cgroup.
fn say(group: &Path, file: &str, value: &str) {
    let path = group.join(file);
    std::fs::write(&path, value).unwrap_or_else(|e| panic!("{} = {value}: {e}", path.display()));
}

/// The cgroups in a cgroup.
fn below(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).unwrap().flatten();
    entries.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.path()).collect()
}

async fn shell(pod: &Pod) -> Container {
    pod.container("c").script("sleep 1000").start().await
}

async fn resize(pod: &Pod, container: &Container, new: LinuxContainerResources) -> Result<(), tonic::Status> {
    let request = UpdateContainerResourcesRequest {
        container_id: container.id().to_owned(),
        linux: Some(new),
        ..Default::default()
    };
    pod.cri().runtime().update_container_resources(request).await.map(drop)
}
