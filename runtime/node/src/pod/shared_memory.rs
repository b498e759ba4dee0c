// SPDX-License-Identifier: Apache-2.0
//! The /dev/shm that the containers of a pod share: a mount below the pod's run directory, which other programs on the node
//! can unmount.

use super::{Pod, request};
use crate::places::Places;
use gorae_proto::cri::NamespaceMode;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether a ready pod's /dev/shm is no longer a mount. A new container would get a directory of the node instead.
pub fn is_lost(places: &Places, pod: &Pod) -> bool {
    let own = request::namespaces(&pod.record.config).ipc() != NamespaceMode::Node;
    let run_dir = places.pod_run(pod.id());
    let device = |path: &Path| std::fs::symlink_metadata(path).ok().map(|found| found.dev());
    let there = device(&run_dir.join("shm"));
    own && pod.is_ready() && (there.is_none() || there == device(&run_dir))
}
