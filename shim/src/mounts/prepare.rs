// SPDX-License-Identifier: Apache-2.0
//! The shim's half: makes each mount of the order as far as possible from outside, one function per kind.

use super::plan::{Plan, Prepared, Source};
use super::proc::Opener;
use super::{bind, cgroups, filesystem, image};
use crate::cgroup::Cgroup;
use crate::descriptor::duplicate;
use crate::devices;
use crate::failure::Result;
use crate::idmap::UserNamespace;
use crate::namespaces::{Kind, Namespaces};
use crate::order::{Bind, Image, Mount, Order, What};
use crate::rootfs::Point;
use crate::sys::Single;
use crate::tree::Propagation;
use crate::user::User;
use crate::volumes;
use rustix::mount::MountAttrFlags;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The facts about the container that are known by now.
#[derive(Debug, Clone, Copy)]
struct Preparation<'a> {
    order: &'a Order,
    cgroup: &'a Cgroup,
    namespaces: &'a Namespaces,
    user: &'a User,
    single: Single,
}

/// Makes everything that can be made in the host's mount namespace; `user` is the user of the container's process.
///
/// # Errors
/// The failure of the first mount that cannot be made.
pub fn prepare<'a>(
    order: &'a Order,
    cgroup: &'a Cgroup,
    namespaces: &'a Namespaces,
    user: &'a User,
    single: Single,
) -> Result<Plan<'a>> {
    let preparation = Preparation { order, cgroup, namespaces, user, single };
    let mut plan = Plan { mounts: Vec::with_capacity(order.mounts.len()), ..Plan::default() };
    let with_volumes = volumes::fill(order, single)?;
    for mount in order.mounts.iter().filter(|mount| with_volumes || !matches!(mount.what, What::Volume(_))) {
        let prepared = preparation.mount(mount, &mut plan)?;
        plan.mounts.push(prepared);
    }
    Ok(plan)
}

impl<'a> Preparation<'a> {
    fn mount(&self, mount: &'a Mount, plan: &mut Plan<'_>) -> Result<Prepared<'a>> {
        let mut point = Point::Directory;
        let (from, source) = match &mount.what {
            What::Bind(bind) => (bind.source.as_str(), Source::Tree(self.bind(mount, bind, plan, &mut point)?)),
            What::Volume(bind) => (bind.source.as_str(), Source::Volume(self.bind(mount, bind, plan, &mut point)?)),
            What::Image(image) => ("the image volume", self.image(mount, image, &mut point)?),
            What::Tmpfs(options) => ("tmpfs", Source::Tree(self.tmpfs(options, mount.attributes)?)),
            What::Dev(options) => ("tmpfs", Source::Tree(self.dev(options, mount.attributes, plan)?)),
            What::Devpts(options) => ("devpts", Source::Tree(self.devpts(options, mount.attributes, plan)?)),
            What::Cgroup => ("cgroup", self.cgroup(mount)?),
            What::Proc(options) => ("proc", self.proc(options, mount.attributes)?),
            What::Kernel(name, options) => (*name, Source::New(name, options)),
        };
        Ok(Prepared { destination: &mount.destination, point, source, from, attributes: mount.attributes })
    }

    fn user_namespace(&self) -> Option<BorrowedFd<'a>> {
        self.namespaces.pin(Kind::User)
    }

    fn bind(&self, mount: &Mount, bind: &Bind, plan: &mut Plan<'_>, point: &mut Point) -> Result<OwnedFd> {
        let ids = bind.ids.as_ref();
        let maps = || ids.map(|ids| UserNamespace::with(ids, &self.order.ids, self.user_namespace(), self.single));
        let made = bind::prepare(bind, mount.attributes, || maps().transpose())?;
        *point = made.point;
        plan.shares |= bind.propagation == Propagation::Shared;
        Ok(made.tree)
    }

    fn image(&self, mount: &'a Mount, image: &'a Image, point: &mut Point) -> Result<Source<'a>> {
        let volume = image::prepare(mount, image, &self.order.run_dir, self.user_namespace(), self.single)?;
        *point = volume.point;
        Ok(volume.source)
    }

    /// In a pod with a user namespace it belongs to that namespace's root.
    fn tmpfs(&self, options: &str, attributes: MountAttrFlags) -> Result<OwnedFd> {
        match self.order.ids.host_root() {
            (0, 0) => filesystem::detached("tmpfs", options, attributes),
            (uid, gid) => filesystem::detached("tmpfs", &format!("{options},uid={uid},gid={gid}"), attributes),
        }
    }

    /// Device nodes work in it, whatever the attributes say.
    fn dev(&self, options: &str, attributes: MountAttrFlags, plan: &mut Plan<'_>) -> Result<OwnedFd> {
        let tree = self.tmpfs(options, attributes - MountAttrFlags::MOUNT_ATTR_NODEV)?;
        devices::populate(&tree, &self.order.devices, self.user, &self.order.ids)?;
        plan.own_dev = true;
        Ok(tree)
    }

    /// The option has the terminals' group as an id in the container.
    fn devpts(&self, options: &str, attributes: MountAttrFlags, plan: &mut Plan<'_>) -> Result<OwnedFd> {
        let translate = |option: &str| match option.strip_prefix("gid=").and_then(|gid| gid.parse().ok()) {
            Some(gid) => format!("gid={}", self.order.ids.host_gid(gid)),
            None => option.to_owned(),
        };
        let options = options.split(',').map(translate).collect::<Vec<_>>().join(",");
        let tree = filesystem::detached("devpts", &options, attributes)?;
        plan.devpts = Some(duplicate(&tree, "devpts")?);
        Ok(tree)
    }

    fn cgroup(&self, mount: &Mount) -> Result<Source<'a>> {
        if self.cgroup.is_v2() && self.namespaces.is_new(Kind::Cgroup) {
            return Ok(Source::New("cgroup2", ""));
        }
        cgroups::detached(self.cgroup, mount.attributes, &mount.destination)
    }

    fn proc(&self, options: &'a str, attributes: MountAttrFlags) -> Result<Source<'a>> {
        match self.namespaces.pin(Kind::Pid) {
            // The child stays outside a PID namespace that others live in.
            Some(pin) => {
                let opener = Opener { namespaces: self.namespaces, cgroup: self.cgroup, single: self.single };
                opener.detached(pin, options, attributes).map(Source::Tree)
            }
            None => Ok(Source::New("proc", options)),
        }
    }
}
