// SPDX-License-Identifier: Apache-2.0
//! Writes a profile in the form of the OCI runtime specification (`linux.seccomp`), resolved for one container: rules
//! that do not apply to its capabilities, to this kernel or to this machine are left out.
//!
//! That form cannot express the following, and runtimes decide for themselves:
//! - ENOSYS for system calls that are newer than all calls in the profile. runc does this too, and also counts the
//!   names that are listed here with the default action; crun uses the default action.
//! - The effect of an ABI that is not among the architectures: here the process is killed, with libseccomp the thread.

use super::cubes;
use super::json::FLAGS;
use super::profile::{Action, Condition, Profile, Test};
use serde_json::{Map, Value, json};

/// Writes a profile.
pub(super) fn write(profile: &Profile) -> Value {
    let mut written = Map::new();
    put_action(&mut written, ["defaultAction", "defaultErrnoRet"], profile.default);
    written.insert("architectures".into(), profile.arches.iter().map(|arch| arch.oci_name()).collect());
    // This is the value of a profile without `flags`; see `json::flags`.
    if u64::from(profile.flags) != libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW {
        let set = FLAGS.iter().filter(|(_, flag)| u64::from(profile.flags) & flag != 0);
        written.insert("flags".into(), set.map(|(name, _)| *name).collect());
    }
    written.insert("syscalls".into(), syscalls(profile).into());
    written.into()
}

fn syscalls(profile: &Profile) -> Vec<Value> {
    let mut known: Vec<&String> = profile.also_known.iter().collect();
    let mut rules = Vec::with_capacity(profile.rules.len() + 1);
    for rule in &profile.rules {
        let alternatives = alternatives(&rule.conditions);
        if alternatives.is_empty() {
            // No call can satisfy its conditions.
            known.extend(&rule.names);
        }
        rules.extend(alternatives.into_iter().map(|args| syscall(json!(rule.names), rule.action, args)));
    }
    if !known.is_empty() {
        rules.push(syscall(json!(known), profile.default, Vec::new()));
    }
    rules
}

fn syscall(names: Value, action: Action, args: Vec<Value>) -> Value {
    let mut written = Map::from_iter([("names".to_owned(), names)]);
    put_action(&mut written, ["action", "errnoRet"], action);
    if !args.is_empty() {
        written.insert("args".into(), args.into());
    }
    written.into()
}

fn put_action(written: &mut Map<String, Value>, [key, errno_key]: [&str; 2], action: Action) {
    let (name, errno) = match action {
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::Trap => ("SCMP_ACT_TRAP", None),
        Action::Errno(errno) => ("SCMP_ACT_ERRNO", Some(errno)),
        Action::Trace(data) => ("SCMP_ACT_TRACE", Some(data)),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::Allow => ("SCMP_ACT_ALLOW", None),
    };
    written.insert(key.to_owned(), name.into());
    written.extend(errno.map(|errno| (errno_key.to_owned(), errno.into())));
}

/// Converts the conditions of a rule to alternative rules with at most one comparison per argument.
fn alternatives(conditions: &[Condition]) -> Vec<Vec<Value>> {
    (0..6).fold(vec![Vec::new()], |before, arg| {
        let on_it: Vec<Condition> = conditions.iter().filter(|condition| condition.arg == arg).copied().collect();
        if on_it.is_empty() {
            return before;
        }
        let comparisons = comparisons(arg, &on_it);
        before
            .iter()
            .flat_map(|args| comparisons.iter().map(|last| [&args[..], std::slice::from_ref(last)].concat()))
            .collect()
    })
}

/// Converts all conditions on one argument to alternative comparisons.
fn comparisons(arg: u8, conditions: &[Condition]) -> Vec<Value> {
    if let [condition] = conditions
        && let Some(comparison) = comparison(condition)
    {
        return vec![comparison];
    }
    cubes::of_all(conditions).into_iter().map(|cube| masked(arg, cube.mask, cube.bits)).collect()
}

/// Converts a condition that the form has an operator for.
fn comparison(condition: &Condition) -> Option<Value> {
    let (op, value) = match (condition.test, condition.expect) {
        (Test::Masked { mask: u64::MAX, value }, true) => ("SCMP_CMP_EQ", value),
        (Test::Masked { mask: u64::MAX, value }, false) => ("SCMP_CMP_NE", value),
        (Test::Masked { mask, value }, true) if value & !mask == 0 => return Some(masked(condition.arg, mask, value)),
        (Test::Masked { .. }, _) => return None,
        (Test::AtLeast(least), true) => ("SCMP_CMP_GE", least),
        (Test::AtLeast(least), false) => ("SCMP_CMP_LT", least),
    };
    Some(json!({"index": condition.arg, "value": value, "op": op}))
}

fn masked(arg: u8, mask: u64, bits: u64) -> Value {
    json!({"index": arg, "value": mask, "valueTwo": bits, "op": "SCMP_CMP_MASKED_EQ"})
}
