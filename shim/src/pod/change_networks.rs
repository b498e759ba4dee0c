// SPDX-License-Identifier: Apache-2.0
//! A pod's interfaces in networks that people made: given to it and taken away, also while it runs.

use super::namespaces::{enter_net, open_path};
use crate::failure::{self, Result};
use crate::malformed::absolute;
use crate::network::{Bridged, Gateways, LOOKS, Route, default_routes_of, delete, put_back};
use crate::proc_sys::ProcSys;
use crate::wire::ChangeNetworks;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The most interfaces that one request adds or removes.
const MOST: usize = 256;
const OWN: &str = "/proc/self/ns/net";

/// A checked [`ChangeNetworks`].
#[derive(Debug)]
pub struct NetworkChange {
    netns: PathBuf,
    add: Vec<Bridged>,
    remove: Vec<String>,
    /// `None`: the default routes are another network's.
    gateways: Option<Gateways>,
}

impl NetworkChange {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: ChangeNetworks) -> Result<Self> {
        let too_many = |what: &str| {
            failure::refused(failure::Kind::InvalidArgument, "check request", what, "more than 256 interfaces")
        };
        if request.add.len() > MOST {
            return Err(too_many("add"));
        }
        if request.remove.len() > MOST {
            return Err(too_many("remove"));
        }
        let gateways = Gateways::checked(&request.default_gateways)?;
        if request.keep_default_routes && !request.default_gateways.is_empty() {
            let why = "there are default routes to keep";
            return Err(failure::refused(failure::Kind::InvalidArgument, "check request", "default_gateways", why));
        }
        Ok(Self {
            netns: PathBuf::from(absolute("netns", request.netns)?),
            add: request.add.iter().map(Bridged::checked).collect::<Result<_>>()?,
            remove: request.remove,
            gateways: (!request.keep_default_routes).then_some(gateways),
        })
    }
}

/// The two namespaces, with a socket in each.
struct Ends {
    node: Route,
    inside: Route,
    node_ns: OwnedFd,
    netns: OwnedFd,
    sys: ProcSys,
}

impl Ends {
    fn open(netns: &Path) -> Result<Self> {
        let (node_ns, netns_fd) = (open_path(Path::new(OWN))?, open_path(netns)?);
        let node = Route::open()?;
        enter_net(&netns_fd, netns)?;
        let inside = Route::open()?;
        enter_net(&node_ns, Path::new(OWN))?;
        Ok(Self { node, inside, node_ns, netns: netns_fd, sys: ProcSys::own()? })
    }
}

/// Adds, then sets the default routes, then removes, so that there is a way out all the time.
///
/// # Errors
/// The kernel's, with the interface, address or route. What was added is gone then, and the default routes are what they
/// were; interfaces that were removed stay removed.
pub fn change(request: &NetworkChange) -> Result<()> {
    let mut ends = Ends::open(&request.netns)?;
    let before = default_routes_of(&mut ends.inside)?;
    let mut made = Vec::new();
    let done = apply(request, &mut ends, &mut made);
    if done.is_err() && !made.is_empty() {
        for host_interface in made {
            // The first failure is the one to report; the daemon removes what is left.
            let _ = delete(&mut ends.node, host_interface);
        }
        let _ = put_back(&mut ends.inside, &before);
    }
    done
}

fn apply<'a>(request: &'a NetworkChange, ends: &mut Ends, made: &mut Vec<&'a str>) -> Result<()> {
    for interface in &request.add {
        if interface.create(&mut ends.node, &mut ends.inside, ends.netns.as_fd())? {
            made.push(interface.host_interface());
        }
        interface.plug(&mut ends.node, &ends.sys)?;
    }
    enter_net(&ends.netns, &request.netns)?;
    request.add.iter().try_for_each(|interface| interface.configure(&mut ends.inside, &ends.sys))?;
    let mut looks = LOOKS;
    request.add.iter().try_for_each(|new| new.announce(&mut ends.node, &mut ends.inside, &mut looks))?;
    request.gateways.as_ref().map_or(Ok(()), |gateways| gateways.set(&mut ends.inside))?;
    enter_net(&ends.node_ns, Path::new(OWN))?;
    request.remove.iter().try_for_each(|host_interface| delete(&mut ends.node, host_interface))
}
