// SPDX-License-Identifier: Apache-2.0
//! A pod to set up, checked.

use super::namespaces::{PinPaths, pin_paths};
use super::own::Own;
use super::sysctl::Sysctl;
use crate::cgroup::{Layout, Place};
use crate::failure;
use crate::idmap::IdMaps;
use crate::malformed::{Malformed, Result, absolute, each, non_empty, required};
use crate::network::Network;
use crate::wire::{self, SetupPod};
use std::path::PathBuf;

/// A pod to set up.
#[derive(Debug)]
pub struct Setup {
    /// The directory of the pins; it exists.
    pub run_dir: PathBuf,
    /// Where its pins are.
    pub pins: PinPaths,
    /// `None`: it is left unchanged.
    pub hostname: Option<String>,
    /// Its namespaces.
    pub own: Own,
    /// The maps of its user namespace; `None`: it uses the host's.
    pub ids: Option<IdMaps>,
    /// Its sysctls, written in this order.
    pub sysctls: Vec<Sysctl>,
    /// `None`: only loopback is brought up.
    pub network: Option<Network>,
    /// Another pod's network namespace, which this pod shares.
    pub join_net: Option<PathBuf>,
    /// Its cgroups.
    pub cgroups: Option<Cgroups>,
}

/// The cgroups of a pod.
#[derive(Debug)]
pub struct Cgroups {
    /// The pod's cgroup, created with its parents.
    pub pod: Place,
    /// The init's cgroup, inside the pod's.
    pub init: Place,
    /// The cgroup that a failed set-up kills and removes: inside a client's cgroup, only the init's.
    pub own: Place,
}

impl Setup {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(setup: SetupPod) -> failure::Result<Self> {
        let network = setup.network.as_ref().map(Network::checked).transpose()?;
        Ok(check(setup, network)?)
    }

    /// Whether something below `/proc/sys` is set for the pod.
    pub(super) fn has_settings(&self) -> bool {
        self.network.is_some() || !self.sysctls.is_empty()
    }
}

fn check(setup: SetupPod, network: Option<Network>) -> Result<Setup> {
    let own = Own { net: setup.own_net, ipc: setup.own_ipc, uts: setup.own_uts, pid: setup.own_pid };
    if network.is_some() && !own.net {
        return Err(Malformed::new("network", "the pod uses the node's network"));
    }
    let join_net = non_empty(setup.join_net).map(|path| absolute("join_net", path)).transpose()?.map(PathBuf::from);
    if join_net.is_some() {
        refuse_beside_join(own, setup.user.is_some(), network.is_some())?;
    }
    // Those of the network are the first pod's.
    let sysctls_of = Own { net: own.net && join_net.is_none(), ..own };
    let ids = setup.user.map(IdMaps::checked).transpose().map_err(|wrong| wrong.within("user"))?;
    let run_dir = PathBuf::from(absolute("run_dir", setup.run_dir)?);
    Ok(Setup {
        pins: pin_paths(&run_dir, setup.netns)?,
        run_dir,
        hostname: non_empty(setup.hostname).filter(|_| own.uts),
        own,
        ids,
        sysctls: each("sysctls", setup.sysctls, |sysctl| Sysctl::checked(sysctl, sysctls_of))?,
        network,
        join_net,
        cgroups: setup.cgroup.map(|cgroup| cgroups(cgroup, &setup.clients_cgroup_init)).transpose()?,
    })
}

/// What belongs to the namespace's first pod alone.
fn refuse_beside_join(own: Own, user: bool, network: bool) -> Result<()> {
    let wrong = [(!own.net, "own_net"), (user, "user"), (network, "network")];
    match wrong.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, field)) => Err(Malformed::new(field, "the pod shares the network namespace of another one")),
        None => Ok(()),
    }
}

/// The init gets a cgroup below the pod's: on v2, the pod's own delegates controllers and so may not hold processes, and a
/// client's is not ours to kill.
fn cgroups(cgroup: wire::CgroupPlace, clients_init: &str) -> Result<Cgroups> {
    let within = |wrong: Malformed| wrong.within("cgroup");
    let layout = Layout::checked(required("cgroup.layout", cgroup.layout)?);
    let layout = layout.map_err(|wrong| within(wrong.within("layout")))?;
    let pod = Place::new(layout.clone(), "path", &cgroup.path).map_err(within)?;
    let (init, own) = match clients_init {
        "" => (pod.below("init"), pod.clone()),
        path => {
            let init = Place::new(layout, "clients_cgroup_init", path)?;
            (init.clone(), init)
        }
    };
    Ok(Cgroups { pod, init, own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CgroupLayout, CgroupPlace, IdMap, PodNetwork, UserMapping};

    fn setup() -> SetupPod {
        let layout = CgroupLayout { unified: "/c".into(), unified_has_controllers: true, v1: Vec::new() };
        let cgroup = CgroupPlace { layout: Some(layout), path: "/pods/p".into() };
        SetupPod { run_dir: "/run/p".into(), own_net: true, own_pid: true, cgroup: Some(cgroup), ..SetupPod::default() }
    }

    #[test]
    fn the_init_is_in_the_pods_cgroup_or_in_what_the_client_gave() {
        let places = |setup| {
            let Cgroups { pod, init, own } = Setup::checked(setup).unwrap().cgroups.unwrap();
            [pod.path(), init.path(), own.path()]
        };
        assert_eq!(places(setup()), ["/pods/p", "/pods/p/init", "/pods/p"]);
        let of_client = SetupPod { clients_cgroup_init: "/pods/p/own".into(), ..setup() };
        assert_eq!(places(of_client), ["/pods/p", "/pods/p/own", "/pods/p/own"]);
    }

    #[test]
    fn every_malformed_field_is_named() {
        let network = || PodNetwork {
            bridge: "b".into(),
            host_interface: "h".into(),
            interface: "e".into(),
            host_mac: vec![2; 6],
            ..Default::default()
        };
        let map = || vec![IdMap { container_id: 0, host_id: 5, length: 1 }];
        type Change = fn(&mut SetupPod);
        let rows: [(&str, Change); 6] = [
            ("run_dir:", |s| s.run_dir = "run".into()),
            ("cgroup.path:", |s| s.cgroup.as_mut().unwrap().path = "/".into()),
            ("cgroup.layout:", |s| s.cgroup.as_mut().unwrap().layout = None),
            ("cgroup.layout.unified:", |s| s.cgroup.as_mut().unwrap().layout.as_mut().unwrap().unified = "c".into()),
            ("clients_cgroup_init:", |s| s.clients_cgroup_init = "/a/../b".into()),
            ("sysctls[0].name:", |s| {
                s.sysctls = vec![wire::Sysctl { name: "kernel.core_pattern".into(), value: "x".into() }];
            }),
        ];
        for (field, change) in rows {
            let mut wrong = setup();
            change(&mut wrong);
            let failure = Setup::checked(wrong).unwrap_err();
            assert!(failure.message.starts_with(&format!("check request {field}")), "{}", failure.message);
        }
        let refused = |wrong: SetupPod| Setup::checked(wrong).unwrap_err().message;
        let of_node = SetupPod { own_net: false, network: Some(network()), ..setup() };
        assert!(refused(of_node).starts_with("check request network:"));
        let name = SetupPod { network: Some(PodNetwork { host_interface: "a/b".into(), ..network() }), ..setup() };
        assert!(refused(name).contains("a/b"));
        let user = SetupPod { user: Some(UserMapping { uids: map(), gids: Vec::new() }), ..setup() };
        assert!(refused(user).starts_with("check request user.gids:"));
    }
}
