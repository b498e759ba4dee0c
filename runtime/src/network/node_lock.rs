// SPDX-License-Identifier: Apache-2.0
//! A lock that daemons of one network namespace share while they choose a subnet and put it on a bridge.
//!
//! It is an abstract unix socket name: bound by at most one process of the network namespace, and free again the
//! moment that process is gone, however it went.

use super::NetworkError;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

const NAME: &[u8] = b"gorae-network";
/// Longer than any holder needs: it dumps routes and makes one bridge.
const DEADLINE: Duration = Duration::from_secs(10);

/// The held lock.
#[derive(Debug)]
pub struct NodeLock(#[expect(dead_code, reason = "closing it is the unlock")] UnixDatagram);

impl NodeLock {
    /// Waits for the lock. Blocking.
    ///
    /// - Errors: [`NetworkError::NodeLock`] after 10 s.
    pub fn take() -> Result<Self, NetworkError> {
        let fail = |source| NetworkError::Netlink { what: "bind", object: "lock on the node's network".into(), source };
        let name = SocketAddr::from_abstract_name(NAME).map_err(fail)?;
        let start = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&name) {
                Ok(socket) => return Ok(Self(socket)),
                Err(e) if e.kind() != std::io::ErrorKind::AddrInUse => return Err(fail(e)),
                Err(_) if start.elapsed() > DEADLINE => {
                    return Err(NetworkError::NodeLock { seconds: DEADLINE.as_secs() });
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}
