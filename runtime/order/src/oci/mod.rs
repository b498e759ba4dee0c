// SPDX-License-Identifier: Apache-2.0
//! Writes an order as `config.json` of the OCI runtime specification: hooks find it in their bundle, and a verbose status
//! shows it. It is made only when something reads it, never to start a container.
//!
//! What that format cannot express, and what is written instead:
//!
//! | in the order | here |
//! |---|---|
//! | layers of the root | `root.path` is `rootfs` in the bundle, where the root is mounted while hooks run |
//! | a user or group by name, groups of the image | what is known: the real ids once the process has been started, else 0 with `username` |
//! | HOME, from the image's user database | nothing: runtimes add it |
//! | capabilities that the node does not hold | all that are requested |
//! | variables that are not UTF-8 | marked with U+FFFD |
//! | one path of an image volume | the whole image |
//! | a declared volume is filled from the image | the plain bind mount |
//! | a missing source is made | the plain bind mount |
//! | directories that are made in the root | nothing: one of them is the working directory, which runtimes make |
//! | the start time of a process whose namespace is joined | only its path below /proc |
//! | `/dev/console`, `/dev/ptmx` and the links in /dev | nothing: runtimes make them |
//! | device rules that every container has | the rules of the order, to which runtimes add their own |
//! | log, standard input, stop signal | nothing: they concern only the daemon |
//! | SELinux label of mounts | nothing: an order has none |
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

/// The version of the specification that is written. It is the oldest with this format, since crun up to 1.8 refuses any
/// other than 1.0. Of the later additions an order may use read-only trees, id maps of mounts and errnos in a seccomp
/// profile; their keywords have no other meaning in 1.0.
const VERSION: &str = "1.0.2";

/// Writes the whole configuration. `identity` holds the actual ids of the process, once it has been started.
///
/// # Errors
/// The error of a seccomp profile that cannot be parsed; no valid order has such a profile.
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

/// Writes the state of a container that hooks read on their standard input, without its status and pid.
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
