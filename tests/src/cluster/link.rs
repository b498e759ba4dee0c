// SPDX-License-Identifier: Apache-2.0
//! The link between the machines of a cluster: a bridge in the test's own network namespace, which is the machines' router.

use super::run::output;
use anyhow::{Context, Result};
use std::net::Ipv4Addr;

/// The bridge.
pub const LINK: &str = "cluster0";
/// The address of the test's own namespace on it, where the control plane is.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// Whether this network namespace forwards packets.
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The link; dropping it removes it.
#[derive(Debug)]
pub struct Link {
    forward: String,
}

impl Link {
    /// Makes it, with this namespace's end.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make() -> Result<Link> {
        let forward = std::fs::read_to_string(FORWARD)?;
        // A router says so when it knows no way. From one that does not forward there is no answer, and what a pod sends to a
        // service before kube-proxy's first rules waits for half a minute.
        std::fs::write(FORWARD, "1").context("let this namespace forward packets")?;
        let link = Link { forward };
        output("ip", &["link", "add", LINK, "type", "bridge"])?;
        output("ip", &["address", "add", &format!("{CONTROL}/24"), "dev", LINK])?;
        output("ip", &["link", "set", LINK, "up"])?;
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // What fails here shows in the leak check.
        let _ = output("ip", &["link", "delete", LINK]);
        let _ = std::fs::write(FORWARD, &self.forward);
    }
}
