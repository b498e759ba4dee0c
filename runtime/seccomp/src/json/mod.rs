// SPDX-License-Identifier: Apache-2.0
//! Parses profiles as people write them: in the OCI's JSON form, or in Docker's, which has conditions per rule.
//!
//! It is strict where a mistake would widen a profile: an unknown key, action, operator or architecture is an error. It
//! is lenient where profiles are written for many machines: unknown syscall names and other machines' architectures are
//! skipped.
//!
//! It follows runc and libseccomp, because profiles are tested with those: a rule with the default action has no
//! effect; two conditions on the same argument turn all the rule's conditions into alternatives.

mod action;
mod arches;
mod condition;
mod flags;
mod invalid;
mod matching;
mod text;

pub(super) use flags::FLAGS;

use super::error::Error;
use super::kernel::Release;
use super::profile::{Condition, Profile, Rule};
use action::{Errno, action};
use arches::arches;
use condition::{condition, repeats_an_argument};
use flags::flags;
use invalid::invalid;
use matching::matches;
use text::{ProfileText, RuleText};

/// Parses a profile for a container with these capabilities, on this machine and the given kernel.
pub(super) fn parse(bytes: &[u8], caps: u64, kernel: Release) -> Result<Profile, Error> {
    let text: ProfileText = serde_json::from_slice(bytes)?;
    for (place, asked) in [("listenerPath", &text.listener_path), ("listenerMetadata", &text.listener_metadata)] {
        if asked.as_ref().is_some_and(|asked| !asked.is_empty()) {
            return Err(Error::Notify { place: place.into() });
        }
    }
    let errno = Errno { number: text.default_errno_ret, name: text.default_errno.as_deref() };
    let default = action("defaultAction", &text.default_action, &errno)?;
    let mut profile = Profile {
        default,
        arches: arches(text.architectures.as_deref(), text.arch_map.as_deref())?,
        rules: Vec::new(),
        also_known: Vec::new(),
        flags: flags(text.flags.as_deref())?,
    };
    for (at, rule) in text.syscalls.iter().flatten().enumerate() {
        add_rule(&mut profile, &format!("syscalls[{at}]"), rule, caps, kernel)?;
    }
    Ok(profile)
}

fn add_rule(profile: &mut Profile, place: &str, rule: &RuleText, caps: u64, kernel: Release) -> Result<(), Error> {
    let names = match (&rule.name, &rule.names) {
        (Some(_), Some(names)) if !names.is_empty() => return Err(invalid(place, "both name and names are set")),
        (Some(name), _) => vec![name.clone()],
        (None, Some(names)) => names.clone(),
        (None, None) => return Err(invalid(place, "neither name nor names is set")),
    };
    let errno = Errno { number: rule.errno_ret, name: rule.errno.as_deref() };
    let action = action(&format!("{place}.action"), &rule.action, &errno)?;
    let conditions: Vec<Condition> = (0..)
        .zip(rule.args.iter().flatten())
        .map(|(at, arg)| condition(&format!("{place}.args[{at}]"), arg))
        .collect::<Result<_, _>>()?;
    let included = matches(&format!("{place}.includes"), rule.includes.as_ref(), caps, kernel)?;
    let excluded = matches(&format!("{place}.excludes"), rule.excludes.as_ref(), caps, kernel)?;
    if !included.all() || excluded.any() || action == profile.default {
        profile.also_known.extend(names);
    } else if repeats_an_argument(&conditions) {
        let alternatives = conditions.into_iter().map(|condition| vec![condition]);
        profile.rules.extend(alternatives.map(|conditions| Rule { names: names.clone(), action, conditions }));
    } else {
        profile.rules.push(Rule { names, action, conditions });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
