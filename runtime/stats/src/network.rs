// SPDX-License-Identifier: Apache-2.0
//! Interface counters of pods, read through their pinned network namespaces.
//!
//! The pin is used instead of a process of the pod: a pod may have no process, a pid may have been reused, and a
//! privileged process may have moved to another namespace. One thread visits all pins of a list and then exits. It does
//! not change the namespace of any other thread, and takes about 10 us per pod.

use crate::group::read_path;
use crate::value::value;
use gorae_kernel::clock;
use gorae_proto::cri::{NetworkInterfaceUsage, NetworkUsage};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The interface that carries the pod's address.
const DEFAULT_INTERFACE: &str = "eth0";
/// Most interfaces that are shown of a pod, because a pod can make as many as it likes.
const MOST_INTERFACES: usize = 64;

/// The counters of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name inside the pod, such as "eth0".
    pub name: String,
    /// Traffic into the pod.
    pub received: Direction,
    /// Traffic out of the pod.
    pub sent: Direction,
}

/// The counters of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Direction {
    /// Bytes moved.
    pub bytes: u64,
    /// Packets moved.
    pub packets: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets dropped.
    pub dropped: u64,
}

/// Reads the counters behind each pin, without loopback. `None` for a pod without its own pin (host network), and for
/// one whose pin is gone.
pub fn of_pods(pins: Vec<Option<PathBuf>>) -> Vec<Option<Vec<Interface>>> {
    let none = vec![None; pins.len()];
    if pins.iter().all(Option::is_none) {
        return none;
    }
    let reader = move || pins.iter().map(|pin| pin.as_deref().and_then(read_pin)).collect();
    let thread = std::thread::Builder::new().name("netns-stats".into()).stack_size(128 << 10).spawn(reader);
    thread.ok().and_then(|thread| thread.join().ok()).unwrap_or(none)
}

/// Moves this thread into the namespace and reads there. Only for a thread that exits afterwards.
fn read_pin(pin: &Path) -> Option<Vec<Interface>> {
    let namespace = rustix::fs::open(pin, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
    Some(parse(&read_path("/proc/thread-self/net/dev")?))
}

/// Source: proc_net(5), /proc/net/dev: eight counters in, eight out.
fn parse(text: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let counters: Vec<u64> = counters.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
        let direction = |at: usize| Direction {
            bytes: counters[at],
            packets: counters[at + 1],
            errors: counters[at + 2],
            dropped: counters[at + 3],
        };
        let name = name.trim();
        (counters.len() >= 16 && name != "lo").then(|| Interface {
            name: name.to_owned(),
            received: direction(0),
            sent: direction(8),
        })
    };
    text.lines().filter_map(interface).take(MOST_INTERFACES).collect()
}

/// Makes the CRI message: eth0 (otherwise the first) is the default interface; `interfaces` holds the others.
pub fn usage(interfaces: &[Interface]) -> NetworkUsage {
    let default = interfaces.iter().position(|interface| interface.name == DEFAULT_INTERFACE);
    let default = default.or(if interfaces.is_empty() { None } else { Some(0) });
    let others = interfaces.iter().enumerate().filter(|(at, _)| Some(*at) != default);
    NetworkUsage {
        timestamp: clock::now_ns(),
        default_interface: default.map(|at| message(&interfaces[at])),
        interfaces: others.map(|(_, interface)| message(interface)).collect(),
    }
}

fn message(interface: &Interface) -> NetworkInterfaceUsage {
    NetworkInterfaceUsage {
        name: interface.name.clone(),
        rx_bytes: value(interface.received.bytes),
        rx_errors: value(interface.received.errors),
        tx_bytes: value(interface.sent.bytes),
        tx_errors: value(interface.sent.errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
        lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n  \
        net1:   7 6 5 4 0 0 0 0 3 2 1 9 0 0 0 0\n  \
        eth0: 1296      16    2    3    0     0          0         0     1016      12    4    5    0     0       0          0\n";

    #[test]
    fn eth0_is_the_default_and_loopback_is_left_out() {
        let interfaces = parse(DEV);
        assert_eq!(interfaces[1].received, Direction { bytes: 1296, packets: 16, errors: 2, dropped: 3 });
        assert_eq!(interfaces[1].sent, Direction { bytes: 1016, packets: 12, errors: 4, dropped: 5 });
        let usage = usage(&interfaces);
        assert_eq!(usage.default_interface.unwrap().name, "eth0");
        assert_eq!(usage.interfaces.len(), 1);
        assert_eq!(usage.interfaces[0].name, "net1");
        assert_eq!(super::usage(&[]).default_interface, None);
    }

    #[test]
    fn counters_come_from_the_pinned_namespace_and_the_caller_stays_where_it_is() {
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let name = format!("gorae-stats-test-{}", std::process::id());
        let run = |args: &[&str]| assert!(std::process::Command::new("ip").args(args).status().unwrap().success());
        run(&["netns", "add", &name]);
        run(&["-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", "net1"]);
        let pin = PathBuf::from(format!("/run/netns/{name}"));
        let pods = of_pods(vec![None, Some(pin), Some("/nonexistent".into())]);
        run(&["netns", "del", &name]);
        let mut names: Vec<_> = pods[1].as_ref().unwrap().iter().map(|interface| interface.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["eth0", "net1"]);
        assert_eq!((&pods[0], &pods[2]), (&None, &None));
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), before);
    }
}
