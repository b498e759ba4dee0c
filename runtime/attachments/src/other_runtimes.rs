// SPDX-License-Identifier: Apache-2.0
//! Other container runtimes on the node. Their pods may be in a network of the same name, and its plugins would remove them
//! in a GC that names only ours.

use std::time::Duration;
use tokio::net::UnixStream;

/// Where the other runtimes that use CNI serve.
const SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/crio/crio.sock"];
/// How long one may take to accept a connection. One that takes longer is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// The socket of one that runs.
pub async fn running() -> Option<&'static str> {
    for socket in SOCKETS {
        let refused = matches!(tokio::time::timeout(PATIENCE, UnixStream::connect(socket)).await, Ok(Err(_)));
        if !refused {
            return Some(socket);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_no_runtime() {
        // The machines that run tests have neither, or the machine's own.
        let served = SOCKETS.into_iter().find(|path| std::os::unix::net::UnixStream::connect(path).is_ok());
        assert_eq!(running().await, served);
    }
}
