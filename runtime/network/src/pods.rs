// SPDX-License-Identifier: Apache-2.0
//! Which pod has which address and which host ports: memory only, one short lock, never blocks.
//!
//! ```text
//! reserve ──► reserved ──wanted()──► wanted, maybe in the table ──unwanted()──► maybe still in the table
//!                │                                                                   │ settled: nft said so
//!                └────────────────────────── forget() ◄──────────────────────────────┘
//! ```
//! While a pod is "maybe in the table", its address is not given to a new pod: a stale rule must not send another pod's
//! traffic to it. Forgetting such a pod only marks it; the next rewrite of the table settles it.

use crate::addresses::Addresses;
use crate::binding::Binding;
use crate::error::NetworkError;
use crate::names;
use crate::ports::HostPort;
use crate::reservation::Reservation;
use gorae_proto::cri;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// A pod that lived before this daemon, from its record.
#[derive(Debug, Clone, Default)]
pub struct LivePod {
    /// The pod's id.
    pub pod_id: String,
    /// Its addresses in this network.
    pub ips: Vec<IpAddr>,
    /// The mappings of its request.
    pub port_mappings: Vec<cri::PortMapping>,
}

/// The pods in the network.
#[derive(Debug)]
pub struct Pods {
    addresses: Addresses,
    by_id: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: an address of an earlier subnet, which is no longer allocated from.
    number: Option<u32>,
    ips: Vec<IpAddr>,
    host_ports: Vec<HostPort>,
    bindings: Vec<Binding>,
    held: Vec<Reservation>,
    /// The bindings belong in the table.
    wanted: bool,
    /// The bindings may be in the table.
    present: bool,
    /// The pod is gone; its address is kept only because of `present`.
    forgotten: bool,
}

/// The lease of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The pod's addresses with the prefix length of their subnet, IPv4 first.
    pub addresses: Vec<IpNet>,
    /// The gateway of each family, in the same order.
    pub gateways: Vec<IpAddr>,
    /// Name of the host end of the pod's veth pair.
    pub host_interface: String,
}

impl Pods {
    /// Starts without pods.
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, by_id: HashMap::new() }
    }

    /// Whether no pod has a reservation.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Counts the pods with a reservation, and the host ports that are reserved.
    pub fn count(&self) -> (usize, usize) {
        (self.by_id.len(), self.by_id.values().map(|entry| entry.held.len()).sum())
    }

    /// The bridge's addresses.
    pub fn gateways(&self) -> Vec<IpNet> {
        self.addresses.gateways()
    }

    /// Host interfaces of all pods.
    pub fn host_interfaces(&self) -> Vec<String> {
        self.by_id.keys().map(|id| names::host_interface(id)).collect()
    }

    /// Reserves an address and host ports for a pod; a second call returns the same lease.
    ///
    /// # Errors
    /// [`NetworkError::HostPortTaken`], [`NetworkError::AddressesExhausted`],
    /// [`NetworkError::HostAddressFamily`]; then nothing is reserved.
    pub fn reserve(&mut self, pod_id: &str, host_ports: &[HostPort]) -> Result<Lease, NetworkError> {
        if let Some(entry) = self.by_id.get(pod_id) {
            if entry.present || entry.host_ports == host_ports {
                return Ok(self.lease(pod_id, entry));
            }
            self.forget(pod_id);
        }
        let number = self.addresses.take()?;
        let ips: Vec<IpAddr> = self.addresses.of(number).iter().map(IpNet::addr).collect();
        match self.hold(&ips, host_ports) {
            Ok((bindings, held)) => {
                let host_ports = host_ports.to_vec();
                let number = Some(number);
                let entry =
                    Entry { number, ips, host_ports, bindings, held, wanted: false, present: false, forgotten: false };
                let lease = self.lease(pod_id, &entry);
                self.by_id.insert(pod_id.to_owned(), entry);
                Ok(lease)
            }
            Err(error) => {
                self.addresses.give(number);
                Err(error)
            }
        }
    }

    /// Takes over a pod that lived before this daemon. Its host ports are reserved as far as the kernel allows;
    /// failures are returned as sentences for the log.
    pub fn adopt(&mut self, pod: &LivePod) -> Vec<String> {
        let mut odd = Vec::new();
        let mut number = None;
        for ip in &pod.ips {
            match self.addresses.take_back(*ip) {
                Some(taken) => number = number.or(Some(taken)),
                None if number.is_some_and(|n| self.addresses.of(n).iter().any(|net| net.addr() == *ip)) => {}
                None => odd.push(format!("address {ip} is outside this network, or another pod also has it")),
            }
        }
        let host_ports = HostPort::read_all(&pod.port_mappings).unwrap_or_else(|e| {
            odd.push(e.to_string());
            Vec::new()
        });
        let bindings: Vec<Binding> =
            host_ports.iter().filter_map(|port| port.bindings(&pod.ips).ok()).flatten().collect();
        let held = bindings.iter().filter_map(|b| Reservation::take(b).map_err(|e| odd.push(e.to_string())).ok());
        let held: Vec<Reservation> = held.collect();
        let ips = pod.ips.clone();
        let wanted = !bindings.is_empty();
        let entry = Entry { number, ips, host_ports, bindings, held, wanted, present: wanted, forgotten: false };
        self.by_id.insert(pod.pod_id.clone(), entry);
        odd
    }

    fn hold(&self, ips: &[IpAddr], host_ports: &[HostPort]) -> Result<(Vec<Binding>, Vec<Reservation>), NetworkError> {
        let mut bindings: Vec<Binding> = Vec::new();
        for port in host_ports {
            for binding in port.bindings(ips)? {
                if bindings.iter().any(|other| other.collides(&binding)) {
                    return Err(NetworkError::HostPortTaken { binding, holder: "this pod itself".into() });
                }
                if let Some(pod_id) = self.holder(&binding) {
                    return Err(NetworkError::HostPortTaken { binding, holder: format!("pod {pod_id}") });
                }
                bindings.push(binding);
            }
        }
        let held = bindings.iter().map(Reservation::take).collect::<Result<Vec<_>, _>>()?;
        Ok((bindings, held))
    }

    fn holder(&self, wanted: &Binding) -> Option<&str> {
        let holds = |entry: &Entry| entry.bindings.iter().any(|binding| binding.collides(wanted));
        self.by_id.iter().find(|(_, entry)| holds(entry)).map(|(id, _)| id.as_str())
    }

    fn lease(&self, pod_id: &str, entry: &Entry) -> Lease {
        let gateways: Vec<IpAddr> = self.addresses.gateways().iter().map(IpNet::addr).collect();
        let addresses = entry
            .number
            .map_or_else(|| entry.ips.iter().map(|ip| IpNet::from(*ip)).collect(), |number| self.addresses.of(number));
        Lease { addresses, gateways, host_interface: names::host_interface(pod_id) }
    }

    /// Marks the pod's host ports as wanted in the table, and returns them.
    ///
    /// # Errors
    /// [`NetworkError::NotPrepared`].
    pub fn want(&mut self, pod_id: &str) -> Result<Vec<Binding>, NetworkError> {
        let Some(entry) = self.by_id.get_mut(pod_id).filter(|entry| !entry.forgotten) else {
            return Err(NetworkError::NotPrepared { pod_id: pod_id.into() });
        };
        if !entry.bindings.is_empty() {
            entry.wanted = true;
            entry.present = true;
        }
        Ok(entry.bindings.clone())
    }

    /// Marks the pod's host ports as unwanted, and returns those that may be in the table. When none are, they are free
    /// at once.
    pub fn unwant(&mut self, pod_id: &str) -> Vec<Binding> {
        let Some(entry) = self.by_id.get_mut(pod_id) else { return Vec::new() };
        entry.wanted = false;
        if entry.present {
            return entry.bindings.clone();
        }
        entry.let_go();
        Vec::new()
    }

    /// Records that the pod's host ports are out of the table.
    pub fn removed(&mut self, pod_id: &str) {
        let Some(entry) = self.by_id.get_mut(pod_id) else { return };
        entry.present = entry.wanted;
        if !entry.present {
            entry.let_go();
            if entry.forgotten {
                self.forget(pod_id);
            }
        }
    }

    /// The bindings that the whole table should hold, and the pods they belong to.
    pub fn wanted(&self) -> (Vec<Binding>, HashSet<String>) {
        let wanted = || self.by_id.iter().filter(|(_, entry)| entry.wanted);
        let bindings = wanted().flat_map(|(_, entry)| entry.bindings.iter().copied()).collect();
        (bindings, wanted().map(|(id, _)| id.clone()).collect())
    }

    /// Records that the table was rewritten and holds the host ports of these pods and of no others.
    pub fn rewritten(&mut self, holding: &HashSet<String>) {
        let is_out = |id: &str, entry: &Entry| entry.present && !entry.wanted && !holding.contains(id);
        let out = self.by_id.iter().filter(|(id, entry)| is_out(id, entry)).map(|(id, _)| id.clone());
        for pod_id in out.collect::<Vec<_>>() {
            self.removed(&pod_id);
        }
    }

    /// Forgets a pod that is gone: its address is free, unless a rule may still point to it. Returns whether it is
    /// free.
    pub fn forget(&mut self, pod_id: &str) -> bool {
        let Some(entry) = self.by_id.get_mut(pod_id) else { return true };
        entry.wanted = false;
        if entry.present {
            entry.forgotten = true;
            return false;
        }
        if let Some(number) = self.by_id.remove(pod_id).and_then(|entry| entry.number) {
            self.addresses.give(number);
        }
        true
    }
}

impl Entry {
    fn let_go(&mut self) {
        self.host_ports.clear();
        self.bindings.clear();
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Protocol;

    fn pods(subnet: &str) -> Pods {
        Pods::new(Addresses::new(subnet.parse().expect("net"), None).expect("large enough"))
    }

    /// A port that is very likely free, on an address that only this test uses.
    fn port(last: u8, host_port: u16) -> HostPort {
        let host_ip = Some(IpAddr::from([127, 77, 1, last]));
        HostPort { protocol: Protocol::Tcp, host_ip, host_port, container_port: 80 }
    }

    #[test]
    fn a_repeated_reservation_gives_the_same_lease() {
        let mut pods = pods("10.64.0.0/24");
        let first = pods.reserve("a", &[port(1, 8080)]).expect("free");
        assert_eq!(pods.reserve("a", &[port(1, 8080)]).expect("same"), first);
        assert_eq!(first.addresses[0].to_string(), "10.64.0.2/24");
        assert_eq!(first.gateways[0].to_string(), "10.64.0.1");
        assert_eq!(pods.count(), (1, 1));
    }

    #[test]
    fn a_port_that_another_pod_has_is_refused_by_name_and_leaves_nothing_behind() {
        let mut pods = pods("10.64.0.0/24");
        pods.reserve("a", &[port(2, 8080)]).expect("free");
        let any = HostPort { host_ip: None, ..port(2, 8080) };
        let error = pods.reserve("b", &[port(3, 8081), any]).expect_err("taken").to_string();
        assert_eq!(error, "host port 0.0.0.0:8080/tcp is taken by pod a");
        assert_eq!(pods.count(), (1, 1));
        pods.unwant("a");
        pods.reserve("b", &[port(3, 8081), port(2, 8080)]).expect("free now");
    }

    #[test]
    fn an_address_that_a_rule_may_still_lead_to_is_not_given_again() {
        let mut pods = pods("10.64.0.0/30");
        pods.reserve("a", &[port(4, 8080)]).expect("free");
        assert_eq!(pods.want("a").expect("reserved").len(), 1);
        assert_eq!(pods.unwant("a").len(), 1);
        assert!(!pods.forget("a"), "nft has not said that the rule is gone");
        assert!(pods.reserve("b", &[]).is_err());
        pods.rewritten(&HashSet::new());
        assert_eq!(pods.reserve("b", &[]).expect("free").addresses[0].to_string(), "10.64.0.2/30");
        assert_eq!(pods.count(), (1, 0));
    }

    #[test]
    fn a_rewrite_keeps_what_was_wanted_meanwhile() {
        let mut pods = pods("10.64.0.0/24");
        pods.reserve("a", &[port(5, 8080)]).expect("free");
        pods.reserve("b", &[port(6, 8080)]).expect("free");
        pods.want("a").expect("reserved");
        let (bindings, holding) = pods.wanted();
        assert_eq!(bindings.len(), 1);
        pods.want("b").expect("reserved");
        pods.unwant("a");
        pods.rewritten(&holding);
        assert_eq!(pods.unwant("a").len(), 1, "a was in that rewrite");
        assert_eq!(pods.unwant("b").len(), 1, "b may have been added right after it");
    }

    #[test]
    fn a_rewrite_leaves_the_ports_of_a_pod_that_is_not_up_yet() {
        let mut pods = pods("10.64.0.0/24");
        pods.reserve("a", &[port(9, 8080)]).expect("free");
        pods.rewritten(&HashSet::new());
        assert_eq!(pods.count(), (1, 1));
        assert_eq!(pods.want("a").expect("reserved").len(), 1);
    }

    #[test]
    fn a_live_pod_is_taken_over_with_address_and_ports() {
        let mut pods = pods("10.64.0.0/24");
        let port_mappings = vec![gorae_proto::cri::PortMapping {
            protocol: 0,
            container_port: 80,
            host_port: 8080,
            host_ip: "127.77.1.7".into(),
        }];
        let live = LivePod { pod_id: "a".into(), ips: vec![[10, 64, 0, 9].into()], port_mappings };
        assert_eq!(pods.adopt(&live), Vec::<String>::new());
        assert_eq!(pods.wanted().0.len(), 1);
        assert!(pods.reserve("b", &[port(7, 8080)]).is_err());
        let lease = pods.reserve("b", &[]).expect("free");
        assert!(lease.addresses[0].addr() > IpAddr::from([10, 64, 0, 9]), "{lease:?}");
        let strange = LivePod { pod_id: "c".into(), ips: vec![[10, 1, 0, 9].into()], port_mappings: Vec::new() };
        assert_eq!(pods.adopt(&strange).len(), 1);
        assert!(pods.forget("c"));
    }

    #[test]
    fn a_thousand_pods_come_and_go_without_a_leak() {
        let mut pods = pods("10.64.0.0/24");
        for i in 0..1000 {
            let id = format!("pod-{i}");
            pods.reserve(&id, &[port(8, 9000 + (i % 50))]).expect("free");
            pods.want(&id).expect("reserved");
            pods.unwant(&id);
            pods.removed(&id);
            assert!(pods.forget(&id));
        }
        assert_eq!(pods.count(), (0, 0));
        assert!(pods.is_empty());
    }
}
