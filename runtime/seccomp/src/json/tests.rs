// SPDX-License-Identifier: Apache-2.0

use super::text::ArgText;
use super::*;
use crate::arch::Arch;
use crate::capabilities::{DEFAULT, mask};
use crate::profile::{Action, Test};

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
    assert!(crate::compile(&profile(&text)).is_ok());
}
