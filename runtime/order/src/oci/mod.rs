// SPDX-License-Identifier: Apache-2.0
//! An order as `config.json` of the OCI runtime specification: hooks find it in their bundle, and a verbose status shows
//! it. Made when something reads it, and never to start a container.
//!
//! What that form cannot say, and how it is said instead:
//!
//! | of the order | here |
//! |---|---|
//! | layers of the root | `root.path` is `rootfs` in the bundle, where the root stands while hooks run |
//! | a user or group by name, groups of the image | what is known: the real ids when the process has been started, else 0 with `username` |
//! | HOME, which the image's user database says | runtimes add it |
//! | capabilities that the node does not hold | all that are asked for |
//! | variables that are not UTF-8 | marked with U+FFFD |
//! | one path of an image volume | the whole image |
//! | a volume that the image declares is filled from it | the bare bind mount |
//! | a source that is missing and made | the bare bind mount |
//! | directories that are made in the root | nothing: the working directory is one of them, which runtimes make |
//! | the start time of a process whose namespace is joined | its path below /proc alone |
//! | `/dev/console`, `/dev/ptmx` and the links in /dev | runtimes make them |
//! | limits of a device policy that every container has | the rules of the order, to which runtimes add theirs |
//! | log, standard input, stop signal | nothing: they are the daemon's |
//! | SELinux label of mounts | nothing: no order has one |
//! | seccomp | see the seccomp crate |

mod linux;
mod mounts;
mod object;
mod process;
mod resources;

use crate::hooks::{Hook, Point, bundle};
use crate::order::Order;
use crate::process::Identity;
use object::object;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The version of the specification that is written: the oldest of this form, since crun up to 1.8 refuses any that is not
/// 1.0. Of what came later an order can ask for read-only trees, id maps of mounts and errnos of a seccomp profile, whose
/// words mean nothing else before.
const VERSION: &str = "1.0.2";

/// Writes the whole configuration. `identity` is who the process turned out to be, once it has been started.
///
/// # Errors
/// That of a seccomp profile that cannot be read: no order has one.
pub fn config(order: &Order<'_>, identity: Option<Identity<'_>>) -> Result<Value, gorae_seccomp::Error> {
    Ok(object([
        ("ociVersion", VERSION.into()),
        ("process", process::write(&order.process, identity)),
        ("root", json!({"path": "rootfs", "readonly": order.root.readonly})),
        ("hostname", json!(order.hostname)),
        ("mounts", order.mounts.iter().map(mounts::write).collect()),
        ("hooks", hooks(&order.hooks)),
        ("annotations", json!(order.annotations)),
        ("linux", linux::write(order, identity)?),
    ]))
}

/// Writes the state of a container, without its status and pid: what hooks read on their standard input.
pub fn state(id: &str, run_dir: &str, annotations: &HashMap<String, String>) -> Value {
    json!({"ociVersion": VERSION, "id": id, "bundle": bundle(run_dir), "annotations": annotations})
}

fn hooks(hooks: &[Hook<'_>]) -> Value {
    let one = |hook: &Hook<'_>| {
        object([
            ("path", hook.path.into()),
            ("args", if hook.args.is_empty() { Value::Null } else { json!(hook.args) }),
            ("env", if hook.env.is_empty() { Value::Null } else { json!(hook.env) }),
            ("timeout", json!(hook.timeout.map(|limit| limit.as_secs()))),
        ])
    };
    let of = |point: Point| match hooks.iter().filter(|hook| hook.point == point).map(one).collect::<Vec<_>>() {
        none if none.is_empty() => Value::Null,
        some => some.into(),
    };
    if hooks.is_empty() { Value::Null } else { object(Point::ALL.map(|point| (point.name(), of(point)))) }
}

#[cfg(test)]
mod tests;
