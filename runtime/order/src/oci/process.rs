// SPDX-License-Identifier: Apache-2.0
//! `process`, and `linux.seccomp`, which applies to it.

use super::object::object;
use crate::process::{Identity, Named, Process, Rlimit, Seccomp, SeccompProfile, User};
use gorae_seccomp::capabilities;
use serde_json::{Value, json};

pub(super) fn write(process: &Process<'_>, identity: Option<Identity<'_>>) -> Value {
    let lossy: Vec<_> = process.env.iter().map(|variable| String::from_utf8_lossy(variable)).collect();
    let sets = process.capabilities;
    let names = |set: u64| capabilities::names(set).collect::<Vec<_>>();
    object([
        ("terminal", process.terminal.into()),
        ("user", user(&process.user, identity)),
        ("args", json!(process.args)),
        ("env", json!(lossy)),
        ("cwd", process.cwd.into()),
        (
            "capabilities",
            json!({
                "bounding": names(sets.bounding),
                "effective": names(sets.effective),
                "permitted": names(sets.permitted),
                "inheritable": names(sets.inheritable),
                "ambient": names(sets.ambient),
            }),
        ),
        ("rlimits", process.rlimits.iter().map(rlimit).collect()),
        ("noNewPrivileges", process.no_new_privs.into()),
        ("apparmorProfile", json!(process.apparmor)),
        ("selinuxLabel", json!(process.selinux)),
        ("oomScoreAdj", json!(process.oom_score_adj.map(|score| score.value()))),
    ])
}

/// The ids of the process as far as they are known. Group 0 stands for a group from the image's user database.
pub(super) fn ids(user: &User<'_>, identity: Option<Identity<'_>>) -> (u32, u32) {
    let asked = || (user.user.id().unwrap_or(0), user.group.and_then(Named::id).unwrap_or(0));
    identity.map_or_else(asked, |known| (known.uid, known.gid))
}

fn user(user: &User<'_>, identity: Option<Identity<'_>>) -> Value {
    let (uid, gid) = ids(user, identity);
    let name = match user.user {
        Named::Name(name) if identity.is_none() => Some(name),
        _ => None,
    };
    let groups = match identity {
        Some(known) => known.gids.to_vec(),
        None => [gid].into_iter().chain(user.supplementary.iter().copied()).collect(),
    };
    object([("uid", uid.into()), ("gid", gid.into()), ("additionalGids", json!(groups)), ("username", json!(name))])
}

fn rlimit(limit: &Rlimit) -> Value {
    json!({"type": limit.resource.name(), "soft": limit.soft, "hard": limit.hard})
}

/// Writes `linux.seccomp` for a process with this bounding set.
pub(super) fn seccomp(seccomp: &Seccomp, bounding: u64) -> Result<Value, gorae_seccomp::Error> {
    match &seccomp.profile {
        SeccompProfile::BuiltIn => Ok(gorae_seccomp::default_in_oci_form(bounding)),
        SeccompProfile::Text(text) => gorae_seccomp::profile_json_in_oci_form(text, bounding),
    }
}
