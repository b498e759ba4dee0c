// SPDX-License-Identifier: Apache-2.0
//! Writes an order as the message that starts a shim. Only this module knows how the wire encodes an absent value.
//!
//! Every message is written with all of its fields, so that a field that is added to the protocol cannot be forgotten
//! here: the code does not compile until the field is written.
//!
//! The wire leaves out the host name and the sysctls, which the pod already has; the stop signal, which is sent with the
//! stop; and the text of a seccomp profile, of which the shim gets the compiled program.

mod devices;
mod hooks;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod text;

pub use hooks::hooks;
pub use process::oom_score_adj;
pub use resources::resources;

use crate::mounts::{Mount, Source};
use crate::namespaces::Namespace;
use crate::oci;
use crate::order::{Order, Stdin};
use devices::{device, device_rule};
use gorae_proto::shim::{self, CgroupLayout, CgroupPlace};
use mounts::{mount, root};
use namespaces::{namespaces, user_mapping};
use process::process;
use text::text;

/// Writes the message; `layout` is the node's cgroup layout.
///
/// # Errors
/// As [`oci::config`], which is written for hooks.
pub fn start(order: Order<'_>, layout: &CgroupLayout) -> Result<shim::Start, gorae_seccomp::Error> {
    let hooks = match &order.hooks[..] {
        [] => None,
        some => {
            let config = oci::config(&order, None)?.to_string().into_bytes();
            Some(hooks(order.id, order.annotations, &order.run_dir, some, config))
        }
    };
    let private_cgroup_namespace = order.namespaces.cgroup == Namespace::New;
    Ok(shim::Start {
        container_id: order.id.to_owned(),
        run_dir: order.run_dir,
        root_dir: order.root_dir,
        rootfs: Some(root(&order.root)),
        process: Some(process(order.process)),
        namespaces: namespaces(order.namespaces),
        mounts: order.mounts.into_iter().map(mount).collect(),
        devices: order.devices.into_iter().map(device).collect(),
        device_rules: order.device_rules.into_iter().map(device_rule).collect(),
        masked_paths: order.masked_paths,
        readonly_paths: order.readonly_paths,
        cgroup: Some(CgroupPlace { layout: Some(layout.clone()), path: order.cgroup.to_owned() }),
        resources: Some(resources(order.resources)),
        log_path: text(order.log),
        stdin: order.stdin != Stdin::Empty,
        stdin_once: order.stdin == Stdin::Once,
        user_mapping: order.id_maps.as_ref().map(user_mapping),
        private_cgroup_namespace,
        hooks,
        // It announces a descriptor, so the code that sends the descriptor sets it.
        device_program: false,
    })
}

/// Returns only the image volumes of an order that show one path of their image.
pub fn paths_in_images(order: Order<'_>) -> Vec<shim::Mount> {
    let shows_a_path = |mount: &Mount<'_>| matches!(&mount.source, Source::Image(volume) if volume.path.is_some());
    order.mounts.into_iter().filter(shows_a_path).map(mount).collect()
}

#[cfg(test)]
mod tests;
