// SPDX-License-Identifier: Apache-2.0
//! The first process of an order: the record's command, its user and its privileges.

use super::{apparmor, seccomp};
use crate::container::Record;
use crate::error::{Error, Result};
use crate::open_files::OpenFiles;
use gorae_order::process::{Groups, Named, OomScoreAdj, Process, Rlimit, RlimitResource, User};
use gorae_proto::cri::{self, SupplementalGroupsPolicy};
use gorae_seccomp::capabilities;

/// NGROUPS_MAX.
const MAX_GROUPS: usize = 65_536;

/// Builds the process.
///
/// # Errors
/// `InvalidArgument` for invalid capabilities, groups and profiles.
pub fn build<'a>(
    record: &'a Record,
    open_files: OpenFiles,
    security: &cri::LinuxContainerSecurityContext,
) -> Result<Process<'a>> {
    let capabilities = capabilities(security)?;
    let resources = record.config.linux.as_ref().and_then(|l| l.resources.as_ref());
    Ok(Process {
        args: &record.process.args,
        env: &record.process.env,
        cwd: &record.process.cwd,
        terminal: record.config.tty,
        user: user(record, security)?,
        no_new_privs: security.no_new_privs,
        seccomp: seccomp::build(security, capabilities.bounding)?,
        apparmor: apparmor::profile(security)?,
        selinux: None,
        oom_score_adj: resources.map(oom_score_adj).transpose()?,
        rlimits: vec![Rlimit { resource: RlimitResource::OpenFiles, soft: open_files.soft, hard: open_files.hard }],
        capabilities,
    })
}

fn capabilities(security: &cri::LinuxContainerSecurityContext) -> Result<capabilities::Sets> {
    let asked = security.capabilities.as_ref().map(|asked| capabilities::Request {
        add: &asked.add_capabilities,
        drop: &asked.drop_capabilities,
        add_ambient: &asked.add_ambient_capabilities,
    });
    let nothing_said = capabilities::Request::default;
    let sets = capabilities::effective(asked.unwrap_or_else(nothing_said), security.privileged);
    sets.map_err(|e| Error::invalid(e.to_string()))
}

fn user<'a>(record: &'a Record, security: &cri::LinuxContainerSecurityContext) -> Result<User<'a>> {
    let policy = SupplementalGroupsPolicy::try_from(security.supplemental_groups_policy).map_err(|_| {
        Error::invalid(format!("supplemental_groups_policy: {} is not a policy", security.supplemental_groups_policy))
    })?;
    let named = |text: &'a Option<String>| text.as_deref().map(Named::parse);
    Ok(User {
        user: named(&record.process.user).unwrap_or(Named::Id(0)),
        group: named(&record.process.group),
        supplementary: groups(&security.supplemental_groups, &record.cdi.gids)?,
        groups: match policy {
            SupplementalGroupsPolicy::Merge => Groups::Merge,
            SupplementalGroupsPolicy::Strict => Groups::Strict,
        },
    })
}

fn groups(asked: &[i64], cdi: &[u32]) -> Result<Vec<u32>> {
    if asked.len() + cdi.len() > MAX_GROUPS {
        return Err(Error::invalid(format!("supplemental_groups: more than {MAX_GROUPS}")));
    }
    let one = |&g: &i64| u32::try_from(g).ok().filter(|&g| g != u32::MAX);
    asked
        .iter()
        .map(|g| one(g).ok_or_else(|| Error::invalid(format!("supplemental_groups: {g} is not a group id"))))
        .chain(cdi.iter().map(|&gid| Ok(gid)))
        .collect()
}

/// The OOM score adjustment of a request.
///
/// # Errors
/// `InvalidArgument` for one that the kernel does not accept.
pub fn oom_score_adj(resources: &cri::LinuxContainerResources) -> Result<OomScoreAdj> {
    let score = resources.oom_score_adj;
    OomScoreAdj::new(score).ok_or_else(|| Error::invalid(format!("oom_score_adj: {score} is not in -1000..1000")))
}
