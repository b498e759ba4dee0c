// SPDX-License-Identifier: Apache-2.0
//! The process: its user, its capabilities, its limits.

use super::text::text;
use crate::process::{Capabilities, Groups, Named, OomScoreAdj, Process, Rlimit, User};
use gorae_proto::shim;

pub(super) fn process(process: Process<'_>) -> shim::Process {
    let filter = process.seccomp.as_ref().map(|seccomp| &seccomp.filter);
    shim::Process {
        args: process.args.iter().map(|arg| arg.clone().into_bytes()).collect(),
        env: process.env.to_vec(),
        cwd: process.cwd.into(),
        tty: process.terminal,
        user: Some(user(process.user)),
        capabilities: Some(capabilities(process.capabilities)),
        no_new_privs: process.no_new_privs,
        seccomp_filter: filter.map_or_else(Vec::new, |filter| filter.program.to_vec()),
        seccomp_flags: filter.map_or(0, |filter| filter.flags),
        oom_score_adj: process.oom_score_adj.map(oom_score_adj),
        rlimits: process.rlimits.into_iter().map(rlimit).collect(),
        apparmor_profile: text(process.apparmor),
        selinux_label: text(process.selinux),
    }
}

fn user(user: User<'_>) -> shim::User {
    let named = |name: Named<'_>| match name {
        Named::Id(id) => id.to_string(),
        Named::Name(name) => name.into(),
    };
    shim::User {
        user: named(user.user),
        group: user.group.map_or_else(String::new, named),
        supplemental_gids: user.supplementary,
        strict_groups: user.groups == Groups::Strict,
    }
}

fn capabilities(sets: Capabilities) -> shim::Capabilities {
    shim::Capabilities {
        bounding: sets.bounding,
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    }
}

fn rlimit(limit: Rlimit) -> shim::Rlimit {
    shim::Rlimit { resource: limit.resource.number(), soft: limit.soft, hard: limit.hard }
}

/// Writes an OOM score adjustment.
pub fn oom_score_adj(score: OomScoreAdj) -> shim::OomScoreAdj {
    shim::OomScoreAdj { value: score.value() }
}
