// SPDX-License-Identifier: Apache-2.0
//! Traces of other container runtimes on the node. Their pods may be in a network of the same name, and its plugins would
//! remove them in a GC that names only ours.

use crate::{lookup, netns};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Where the other runtimes that use CNI serve.
const SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];
/// How long one may take to accept a connection. One that takes longer is there.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where all of them have the network namespaces of their pods.
const NAMESPACES: &str = "/run/netns";

/// The first trace: a socket that is served, or a network namespace whose file has none of the names of `ours`. Those are
/// asked for after the listing, because a pod that is made meanwhile is in neither then.
pub async fn trace(ours: impl Fn() -> HashSet<PathBuf>) -> Option<String> {
    for socket in SOCKETS {
        let refused = matches!(tokio::time::timeout(PATIENCE, UnixStream::connect(socket)).await, Ok(Err(_)));
        if !refused {
            return Some(socket.to_owned());
        }
    }
    foreign_namespace(Path::new(NAMESPACES), ours).await
}

async fn foreign_namespace(directory: &Path, ours: impl Fn() -> HashSet<PathBuf>) -> Option<String> {
    let found = match lookup::look(directory, directory.to_owned(), namespaces).await {
        Ok(found) => found,
        // Ours answer.
        Err(why) => return Some(why),
    };
    let ours = ours();
    let names: HashSet<&OsStr> = ours.iter().filter_map(|path| path.file_name()).collect();
    let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| names.contains(name));
    for path in found.into_iter().filter(|path| !is_ours(path)) {
        // One of ours that has gone since the listing is not there any more.
        if lookup::look(directory, path.clone(), |path| netns::is_there(&path)).await.unwrap_or(true) {
            return Some(path.display().to_string());
        }
    }
    None
}

/// The namespaces that are mounted in a directory.
fn namespaces(directory: PathBuf) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.map(|file| file.path()).filter(|path| netns::is_there(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_namespace_of_somebody_else_is_a_trace_and_a_plain_file_is_none() {
        let namespaces = Path::new("/proc/self/ns");
        let ours = || -> HashSet<PathBuf> {
            let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
            let of = |kind: &str| [format!("/var/run/netns/{kind}").into(), format!("{kind}_for_children").into()];
            kinds.into_iter().flat_map(of).collect()
        };
        assert_eq!(foreign_namespace(namespaces, ours).await, None);
        let foreign = foreign_namespace(namespaces, HashSet::new).await;
        assert!(foreign.is_some_and(|path| path.starts_with("/proc/self/ns/")));
        assert_eq!(foreign_namespace(Path::new("/etc"), HashSet::new).await, None);
        assert_eq!(foreign_namespace(Path::new("/no/such"), HashSet::new).await, None);
    }
}
