// SPDX-License-Identifier: Apache-2.0
//! Parses profiles as people write them: in the OCI's JSON form, or in Docker's, which has conditions per rule.
//!
//! It is strict where a mistake would widen a profile: an unknown key, action, operator or architecture is an error. It
//! is lenient where profiles are written for many machines: unknown syscall names and other machines' architectures are
//! skipped.
//!
//! It follows runc and libseccomp, because profiles are tested with those: a rule with the default action has no
//! effect; two conditions on the same argument turn all the rule's conditions into alternatives.

use super::arch::Arch;
use super::error::Error;
use super::kernel::{self, Release};
use super::profile::{Action, Condition, Profile, Rule, Test};
use crate::capabilities;
use serde::Deserialize;

/// The largest errno that a system call can return. Source: linux/err.h MAX_ERRNO.
const LARGEST_ERRNO: u32 = 4095;

/// Names in `architectures` that are valid, but belong to other machines.
const OTHER_ARCHES: [&str; 19] = [
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];
/// All architectures that this code knows, of any machine.
const OUR_ARCHES: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

/// `SECCOMP_FILTER_FLAG_*` by name. WAIT_KILLABLE_RECV is missing: it is only for notification.
pub(super) const FLAGS: [(&str, u64); 3] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", libc::SECCOMP_FILTER_FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", libc::SECCOMP_FILTER_FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProfileText {
    default_action: String,
    default_errno_ret: Option<u32>,
    default_errno: Option<String>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchText>>,
    flags: Option<Vec<String>>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<RuleText>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArchText {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleText {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<ArgText>>,
    #[serde(default)]
    includes: Option<WhereText>,
    #[serde(default)]
    excludes: Option<WhereText>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArgText {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WhereText {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

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

fn invalid(place: impl Into<String>, why: impl Into<String>) -> Error {
    Error::Invalid { place: place.into(), why: why.into() }
}

/// At most 64 characters of a word from the profile, for an error message.
fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(64).collect::<String>())
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

fn repeats_an_argument(conditions: &[Condition]) -> bool {
    let mut seen = [false; 6];
    conditions.iter().any(|condition| std::mem::replace(&mut seen[usize::from(condition.arg)], true))
}

/// The errno of an action as written in the profile, by number or by name.
#[derive(Debug)]
struct Errno<'a> {
    number: Option<u32>,
    name: Option<&'a str>,
}

impl Errno<'_> {
    fn or_eperm(&self, place: &str) -> Result<u16, Error> {
        let named = match self.name {
            None | Some("") => None,
            Some(name) => {
                Some(errno_by_name(name).ok_or_else(|| invalid(place, format!("unknown errno {}", shown(name))))?)
            }
        };
        match (self.number, named) {
            (Some(number), Some(named)) if number != named => {
                Err(invalid(place, format!("errno {named} by name, but {number} by number")))
            }
            (Some(number), _) if number > LARGEST_ERRNO => Err(invalid(place, format!("errno {number} is over 4095"))),
            (number, named) => Ok(number.or(named).unwrap_or(libc::EPERM as u32) as u16),
        }
    }
}

fn errno_by_name(name: &str) -> Option<u32> {
    (1..=133).find(|number| syscalls::Errno::new(*number).name() == Some(name)).map(|number| number as u32)
}

fn action(place: &str, name: &str, errno: &Errno<'_>) -> Result<Action, Error> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.or_eperm(place)?),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.or_eperm(place)?),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_NOTIFY" => return Err(Error::Notify { place: place.into() }),
        _ => return Err(invalid(place, format!("unknown action {}", shown(name)))),
    })
}

fn condition(place: &str, arg: &ArgText) -> Result<Condition, Error> {
    if arg.index > 5 {
        return Err(invalid(place, format!("index {}: a system call has arguments 0 to 5", arg.index)));
    }
    let never = Test::Masked { mask: 0, value: 1 };
    let at_least = |value: Option<u64>| value.map_or(never, Test::AtLeast);
    let equal = Test::Masked { mask: u64::MAX, value: arg.value };
    let (test, expect) = match arg.op.as_str() {
        "SCMP_CMP_EQ" => (equal, true),
        "SCMP_CMP_NE" => (equal, false),
        "SCMP_CMP_GE" => (at_least(Some(arg.value)), true),
        "SCMP_CMP_LT" => (at_least(Some(arg.value)), false),
        "SCMP_CMP_GT" => (at_least(arg.value.checked_add(1)), true),
        "SCMP_CMP_LE" => (at_least(arg.value.checked_add(1)), false),
        "SCMP_CMP_MASKED_EQ" => (Test::Masked { mask: arg.value, value: arg.value_two }, true),
        op => return Err(invalid(place, format!("unknown operator {}", shown(op)))),
    };
    Ok(Condition { arg: arg.index as u8, test, expect })
}

/// Which parts of an `includes` or `excludes` match this container; `None` for a part that is absent.
#[derive(Debug)]
struct Matched {
    every_cap: Option<bool>,
    some_cap: Option<bool>,
    arch: Option<bool>,
    kernel: Option<bool>,
}

impl Matched {
    /// For `includes`: every part that is present matches, with every capability in it.
    fn all(&self) -> bool {
        [self.every_cap, self.arch, self.kernel].iter().all(|part| part.unwrap_or(true))
    }

    /// For `excludes`: some part that is present matches, with at least one capability in it.
    fn any(&self) -> bool {
        [self.some_cap, self.arch, self.kernel].iter().any(|part| part.unwrap_or(false))
    }
}

fn matches(place: &str, text: Option<&WhereText>, caps: u64, kernel: Release) -> Result<Matched, Error> {
    let nothing = WhereText::default();
    let text = text.unwrap_or(&nothing);
    let held = |name: &String| capabilities::bit(name).is_some_and(|bit| caps & (1 << bit) != 0);
    let names = text.caps.as_ref().filter(|names| !names.is_empty());
    let arches = text.arches.as_ref().filter(|arches| !arches.is_empty());
    let least = match text.min_kernel.as_deref() {
        None | Some("") => None,
        Some(text) => Some(kernel::parse(text).ok_or_else(|| {
            invalid(format!("{place}.minKernel"), format!("{} is not of the form MAJOR.MINOR", shown(text)))
        })?),
    };
    Ok(Matched {
        every_cap: names.map(|names| names.iter().all(held)),
        some_cap: names.map(|names| names.iter().any(held)),
        arch: arches.map(|arches| arches.iter().any(|arch| arch == Arch::NATIVE.go_name())),
        kernel: least.map(|least| kernel >= least),
    })
}

/// The native architecture, and the machine's other ones that the profile lists.
fn arches(listed: Option<&[String]>, map: Option<&[ArchText]>) -> Result<Vec<Arch>, Error> {
    let (listed, map) = (listed.unwrap_or_default(), map.unwrap_or_default());
    if !listed.is_empty() && !map.is_empty() {
        return Err(invalid("archMap", "architectures and archMap are both set"));
    }
    let mut asked = Vec::new();
    for (at, name) in listed.iter().enumerate() {
        asked.extend(arch(&format!("architectures[{at}]"), name)?);
    }
    for (at, entry) in map.iter().enumerate() {
        let main = arch(&format!("archMap[{at}].architecture"), &entry.architecture)?;
        for name in entry.sub_architectures.iter().flatten() {
            let sub = arch(&format!("archMap[{at}].subArchitectures"), name)?;
            asked.extend(sub.filter(|_| main == Some(Arch::NATIVE)));
        }
    }
    let here = Arch::here().iter().copied();
    Ok(here.filter(|arch| *arch == Arch::NATIVE || asked.contains(arch)).collect())
}

/// `None` for a valid architecture of other machines.
fn arch(place: &str, name: &str) -> Result<Option<Arch>, Error> {
    match OUR_ARCHES.iter().find(|arch| arch.oci_name() == name) {
        Some(arch) => Ok(Some(*arch)),
        None if OTHER_ARCHES.contains(&name) => Ok(None),
        None => Err(invalid(place, format!("unknown architecture {}", shown(name)))),
    }
}

/// When absent, a filter does not change speculation, which is also the default of newer kernels. When empty: no flag.
fn flags(names: Option<&[String]>) -> Result<u32, Error> {
    let Some(names) = names else {
        return Ok(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32);
    };
    names.iter().enumerate().try_fold(0, |flags, (at, name)| {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        let place = format!("flags[{at}]");
        match known {
            Some((_, flag)) => Ok(flags | *flag as u32),
            None if name == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Err(Error::Notify { place }),
            None => Err(invalid(place, format!("unknown flag {}", shown(name)))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{DEFAULT, mask};

    const KERNEL: Release = Release(6, 1);

    fn profile(text: &str) -> Profile {
        parse(text.as_bytes(), DEFAULT, KERNEL).unwrap()
    }

    fn refused(text: &str) -> String {
        parse(text.as_bytes(), DEFAULT, KERNEL).unwrap_err().to_string()
    }

    /// A profile with one rule, given as the rule's fields.
    fn rule(fields: &str) -> String {
        format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{{fields}}}]}}"#)
    }

    /// Which names have a rule that applies.
    fn applies(fields: &str) -> bool {
        !profile(&rule(&format!(r#""names":["read"],"action":"SCMP_ACT_ALLOW",{fields}"#))).rules.is_empty()
    }

    #[test]
    fn the_ocis_form_is_read() {
        let read = profile(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_S390X"],
            "flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"","syscalls":[
            {"names":["read","write"],"action":"SCMP_ACT_ALLOW"},
            {"names":["clone"],"action":"SCMP_ACT_TRACE","errnoRet":7,"args":[{"index":1,"value":2114060288,"valueTwo":5,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
        );
        assert_eq!((read.default, read.flags), (Action::Errno(38), libc::SECCOMP_FILTER_FLAG_LOG as u32));
        assert_eq!(read.rules[0].names, ["read", "write"]);
        assert_eq!(read.rules[1].action, Action::Trace(7));
        let test = Test::Masked { mask: 2_114_060_288, value: 5 };
        assert_eq!(read.rules[1].conditions, [Condition { arg: 1, test, expect: true }]);
        if Arch::NATIVE == Arch::X86_64 {
            assert_eq!(read.arches, [Arch::X86_64, Arch::X86]);
        }
    }

    #[test]
    fn dockers_form_is_read() {
        let read = profile(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","comment":"x","syscalls":null,
            "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]},
            {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}]}"#,
        );
        assert_eq!(read.default, Action::Errno(38));
        assert_eq!(read.arches, Arch::here(), "the machine's own entry, with its others");
        assert_eq!(profile(r#"{"defaultAction":"SCMP_ACT_LOG"}"#).arches, [Arch::NATIVE]);
        assert_eq!(profile(&rule(r#""name":"read","action":"SCMP_ACT_ALLOW","args":null"#)).rules[0].names, ["read"]);
    }

    #[test]
    fn every_action_is_known() {
        for (name, action) in [
            ("SCMP_ACT_ALLOW", Action::Allow),
            ("SCMP_ACT_ERRNO", Action::EPERM),
            ("SCMP_ACT_KILL", Action::KillThread),
            ("SCMP_ACT_KILL_THREAD", Action::KillThread),
            ("SCMP_ACT_KILL_PROCESS", Action::KillProcess),
            ("SCMP_ACT_TRAP", Action::Trap),
            ("SCMP_ACT_TRACE", Action::Trace(1)),
            ("SCMP_ACT_LOG", Action::Log),
        ] {
            assert_eq!(profile(&format!(r#"{{"defaultAction":"{name}"}}"#)).default, action, "{name}");
        }
    }

    #[test]
    fn every_operator_compares_all_64_bits() {
        let holds = |op: &str, value: u64, arg: u64| {
            let place = ArgText { index: 0, value, value_two: 0x10, op: format!("SCMP_CMP_{op}") };
            let condition = condition("args", &place).unwrap();
            let test = match condition.test {
                Test::Masked { mask, value } => arg & mask == value,
                Test::AtLeast(value) => arg >= value,
            };
            test == condition.expect
        };
        let values = [0, 1, 0x10, 0xff, 0xffff_ffff, 1 << 32, (1 << 32) + 1, u64::MAX - 1, u64::MAX];
        for value in values {
            for arg in values {
                assert_eq!(holds("EQ", value, arg), arg == value);
                assert_eq!(holds("NE", value, arg), arg != value);
                assert_eq!(holds("LT", value, arg), arg < value);
                assert_eq!(holds("LE", value, arg), arg <= value);
                assert_eq!(holds("GE", value, arg), arg >= value);
                assert_eq!(holds("GT", value, arg), arg > value);
                assert_eq!(holds("MASKED_EQ", value, arg), arg & value == 0x10);
            }
        }
    }

    #[test]
    fn rules_apply_by_capability_architecture_and_kernel() {
        assert!(applies(r#""includes":{"caps":["CAP_CHOWN","CAP_KILL"]}"#), "all are held");
        assert!(!applies(r#""includes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]}"#));
        assert!(!applies(r#""includes":{"caps":["CAP_FUTURE"]}"#));
        assert!(!applies(r#""excludes":{"caps":["CAP_SYS_ADMIN","CAP_CHOWN"]}"#), "one is enough");
        assert!(applies(r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#));
        assert!(applies(r#""includes":{"minKernel":"4.8"}"#) && !applies(r#""includes":{"minKernel":"6.2"}"#));
        assert!(!applies(r#""excludes":{"minKernel":"4.8"}"#) && applies(r#""excludes":{"minKernel":"6.2"}"#));
        let here = Arch::NATIVE.go_name();
        assert!(applies(&format!(r#""includes":{{"arches":["{here}","x"]}}"#)));
        assert!(!applies(r#""includes":{"arches":["s390x"]}"#));
        assert!(!applies(&format!(r#""excludes":{{"arches":["{here}"]}}"#)));
        assert!(applies(r#""includes":{},"excludes":{},"args":[]"#) && applies(r#""includes":null,"excludes":null"#));
        let with = parse(
            rule(r#""names":["read"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}"#).as_bytes(),
            mask("SYS_ADMIN"),
            KERNEL,
        );
        assert_eq!(with.unwrap().rules.len(), 1);
    }

    #[test]
    fn two_conditions_on_one_argument_are_alternatives() {
        let arg = |value| format!(r#"{{"index":0,"value":{value},"op":"SCMP_CMP_EQ"}}"#);
        let fields = format!(r#""names":["read"],"action":"SCMP_ACT_ALLOW","args":[{},{}]"#, arg(1), arg(2));
        assert_eq!(profile(&rule(&fields)).rules.len(), 2);
    }

    #[test]
    fn a_rule_with_the_default_action_is_as_good_as_absent() {
        assert!(profile(&rule(r#""names":["read"],"action":"SCMP_ACT_ERRNO""#)).rules.is_empty());
        assert_eq!(profile(&rule(r#""names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":2"#)).rules.len(), 1);
    }

    #[test]
    fn each_slip_is_refused_with_its_place() {
        let arg = |fields: &str| rule(&format!(r#""names":["read"],"action":"SCMP_ACT_ALLOW","args":[{{{fields}}}]"#));
        for (text, says) in [
            ("".to_owned(), "line 1"),
            ("[]".to_owned(), "parse seccomp profile"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW"} x"#.to_owned(), "trailing"),
            ("{}".to_owned(), "defaultAction"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOWED"}"#.to_owned(), "SCMP_ACT_ALLOWED"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}"#.to_owned(), "sycalls"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultAction":"SCMP_ACT_KILL"}"#.to_owned(), "duplicate"),
            (r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#.to_owned(), "4096"),
            (r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EWHAT"}"#.to_owned(), "EWHAT"),
            (r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EPERM","defaultErrnoRet":2}"#.to_owned(), "by name"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X86"]}"#.to_owned(), "architectures[0]"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["FAST"]}"#.to_owned(), "flags[0]"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#
                    .to_owned(),
                "archMap",
            ),
            (r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#.to_owned(), "supervisor"),
            (r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"}"#.to_owned(), "listenerPath"),
            (
                r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#.to_owned(),
                "supervisor",
            ),
            (rule(r#""action":"SCMP_ACT_ALLOW""#), "syscalls[0]"),
            (rule(r#""name":"read","names":["write"],"action":"SCMP_ACT_ALLOW""#), "both"),
            (rule(r#""names":["read"]"#), "action"),
            (rule(r#""names":["read"],"action":"ALLOW""#), "syscalls[0].action"),
            (rule(r#""names":["read"],"action":"SCMP_ACT_NOTIFY""#), "syscalls[0].action"),
            (rule(r#""names":["read"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"five"}"#), "minKernel"),
            (arg(r#""index":6,"value":0,"op":"SCMP_CMP_EQ""#), "args[0]"),
            (arg(r#""index":0,"value":0,"op":"=""#), "operator"),
            (arg(r#""index":0,"value":-1,"op":"SCMP_CMP_EQ""#), "u64"),
            (arg(r#""index":0,"op":"SCMP_CMP_EQ""#), "value"),
            (arg(r#""index":0,"value":0,"mask":1,"op":"SCMP_CMP_EQ""#), "mask"),
        ] {
            let error = refused(&text);
            assert!(error.contains(says), "{text}\n{error}");
        }
    }

    #[test]
    fn names_that_this_machine_does_not_know_are_skipped() {
        let text = rule(r#""names":["read","frobnicate","arm_sync_file_range"],"action":"SCMP_ACT_ALLOW""#);
        assert!(super::super::compile(&profile(&text)).is_ok());
    }
}
