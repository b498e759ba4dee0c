// SPDX-License-Identifier: Apache-2.0
//! A pod: new network, IPC and UTS namespaces that descriptors hold, loopback up, a veth pair into the bridge.

use super::netlink::Route;
use super::phases::Clock;
use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;

const BRIDGE: &str = "gorae-floor";
/// In the range that is set aside for benchmarks.
const GATEWAY: [u8; 4] = [198, 18, 0, 1];
const PREFIX: u8 = 16;

/// The namespaces that this process started in, and the bridge there.
pub struct Host {
    route: Route,
    bridge: u32,
    namespaces: Namespaces,
}

/// Held namespaces.
pub struct Namespaces {
    net: File,
    ipc: File,
    uts: File,
}

impl Host {
    pub fn set_up() -> Result<Self> {
        let route = Route::open()?;
        let bridge = route.bridge(BRIDGE, GATEWAY, PREFIX)?;
        Ok(Self { route, bridge, namespaces: Namespaces::current()? })
    }

    /// Makes a pod; this process is inside it then.
    pub fn make_pod(&self, number: u32, clock: &mut Clock) -> Result<Namespaces> {
        super::sys::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
        let pod = Namespaces::current()?;
        clock.lap("pod: namespaces");
        let inside = Route::open()?;
        inside.up(1)?;
        clock.lap("pod: loopback up");
        self.route.veth(&format!("fl{number}"), self.bridge, pod.net.as_fd())?;
        clock.lap("pod: veth pair");
        let [_, _, c, d] = (2 + number % 60_000).to_be_bytes();
        let eth0 = rustix::net::netdevice::name_to_index(inside.fd(), "eth0")?;
        inside.up(eth0)?;
        inside.address(eth0, [198, 18, c, d], PREFIX)?;
        inside.default_route(GATEWAY)?;
        clock.lap("pod: address and route");
        Ok(pod)
    }

    /// Brings this process back into the host's namespaces.
    pub fn return_home(&self) -> Result<()> {
        self.namespaces.enter().context("return to the host's namespaces")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.route.delete(self.bridge);
    }
}

impl Namespaces {
    fn current() -> Result<Self> {
        let open = |name: &str| File::open(format!("/proc/self/ns/{name}"));
        Ok(Self { net: open("net")?, ipc: open("ipc")?, uts: open("uts")? })
    }

    fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network))?;
        move_into_link_name_space(self.ipc.as_fd(), Some(LinkNameSpaceType::InterProcessCommunication))?;
        move_into_link_name_space(self.uts.as_fd(), Some(LinkNameSpaceType::HostNameAndNISDomainName))?;
        Ok(())
    }
}
