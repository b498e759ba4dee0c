// SPDX-License-Identifier: Apache-2.0
//! Traces of other container runtimes on the node. Their pods may be in a network of the same name, and its plugins would
//! remove them in a GC that names only ours.

use crate::netns;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// Where the other runtimes that use CNI serve.
const SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];
/// How long one may take to accept a connection. One that takes longer is there.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where all of them have the network namespaces of their pods.
const NAMESPACES: &str = "/run/netns";

/// The first trace: a socket that is served, or a network namespace whose file is none of `ours`, by name.
pub async fn trace(ours: &HashSet<String>) -> Option<String> {
    for socket in SOCKETS {
        let refused = matches!(tokio::time::timeout(PATIENCE, UnixStream::connect(socket)).await, Ok(Err(_)));
        if !refused {
            return Some(socket.to_owned());
        }
    }
    foreign_namespace(Path::new(NAMESPACES), ours)
}

fn foreign_namespace(directory: &Path, ours: &HashSet<String>) -> Option<String> {
    let names: HashSet<&str> = ours.iter().filter_map(|path| path.rsplit('/').next()).collect();
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_ours = |file: &std::fs::DirEntry| file.file_name().to_str().is_some_and(|name| names.contains(name));
    let foreign = files.filter(|file| !is_ours(file)).map(|file| file.path()).find(|path| netns::is_there(path));
    foreign.map(|path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_of_somebody_else_is_a_trace_and_a_plain_file_is_none() {
        let namespaces = Path::new("/proc/self/ns");
        let ours: HashSet<String> = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
            .iter()
            .flat_map(|kind| [format!("/var/run/netns/{kind}"), format!("{kind}_for_children")])
            .collect();
        assert_eq!(foreign_namespace(namespaces, &ours), None);
        assert!(foreign_namespace(namespaces, &HashSet::new()).is_some_and(|path| path.starts_with("/proc/self/ns/")));
        assert_eq!(foreign_namespace(Path::new("/etc"), &HashSet::new()), None);
        assert_eq!(foreign_namespace(Path::new("/no/such"), &HashSet::new()), None);
    }
}
