// SPDX-License-Identifier: Apache-2.0
//! Runs the compiled program in a small interpreter and compares it with the meaning of its rules.

use super::program::{code, compile};
use super::rule::checked;
use super::*;
use crate::wire::DeviceRule;

/// A request: kind, major, minor, access bits.
type Request = (u32, u32, u32, u32);

/// Runs a program on the request's context and returns register 0.
fn run(program: &[u64], (kind, major, minor, access): Request) -> u32 {
    let context = [access << 16 | kind, major, minor];
    let (mut registers, mut at) = ([0_u32; 11], 0_usize);
    for _ in 0..10 * program.len() {
        let [code, pair, o0, o1, v0, v1, v2, v3] = program[at].to_ne_bytes();
        let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
        let (offset, value) = (i16::from_ne_bytes([o0, o1]), u32::from_ne_bytes([v0, v1, v2, v3]));
        at += 1;
        let jump = match code {
            code::LOAD_WORD => {
                registers[to] = context[offset as usize / 4];
                false
            }
            code::COPY => {
                registers[to] = registers[from];
                false
            }
            code::SET => {
                registers[to] = value;
                false
            }
            code::AND => {
                registers[to] &= value;
                false
            }
            code::SHIFT_RIGHT => {
                registers[to] >>= value;
                false
            }
            code::JUMP_IF_NOT_EQUAL => registers[to] != value,
            code::JUMP_IF_EQUAL => registers[to] == value,
            code::EXIT => return registers[0],
            other => panic!("instruction {other:#x}"),
        };
        if jump {
            at += offset as usize;
        }
    }
    panic!("the program does not end")
}

/// The meaning of the rules, evaluated without a program.
fn meant(rules: &[Rule], (kind, major, minor, access): Request) -> bool {
    let same = |wanted: Option<u32>, have| wanted.is_none_or(|wanted| wanted == have);
    let covers = |rule: &&Rule, bit: u32| {
        same(rule.kind.map(|kind| kind as u32), kind)
            && same(rule.major, major)
            && same(rule.minor, minor)
            && rule.access & bit != 0
    };
    let decided = |bit: u32| rules.iter().rev().find(|rule| covers(rule, bit)).is_some_and(|rule| rule.allow);
    [1, 2, 4].into_iter().filter(|bit| access & bit != 0).all(decided)
}

fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule { allow, kind: kind.into(), major, minor, access: access.into() }
}

#[test]
fn every_request_is_decided_as_the_rules_mean() {
    // A fixed sequence of rule lists, from a multiplicative generator over small numbers so that rules overlap.
    let mut seed = 1_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for _ in 0..400 {
        let mut maybe = |below: u64| Some(next(below + 1) as u32).filter(|&n| n > 0);
        let mut one = || Rule {
            kind: maybe(2).map(|n| if n == 1 { DeviceKind::Block } else { DeviceKind::Character }),
            major: maybe(2),
            minor: maybe(2),
            access: maybe(7).unwrap_or(7),
            allow: maybe(1).is_some(),
        };
        let rules: Vec<Rule> = (0..6).map(|_| one()).collect();
        let program = compile(&rules);
        for request in (0..2 * 3 * 3 * 7).map(|n| (n % 2 + 1, n / 2 % 3, n / 6 % 3, n / 18 + 1)) {
            assert_eq!(run(&program, request) == 1, meant(&rules, request), "{rules:?} {request:?}");
        }
    }
}

#[test]
fn the_usual_container_gets_null_and_not_the_disk() {
    let rules = vec![
        rule(false, "a", -1, -1, "rwm"),
        rule(true, "c", -1, -1, "m"),
        rule(true, "c", 1, 3, "rwm"),
        rule(true, "c", 136, -1, "rwm"),
        rule(false, "c", 136, 9, "w"),
    ];
    let program = compile(&checked(rules).unwrap());
    for (request, allowed) in [
        ((2, 1, 3, 6), true),
        ((2, 1, 3, 7), true),
        ((2, 1, 4, 2), false),
        ((2, 1, 4, 1), true),
        ((1, 8, 0, 2), false),
        ((1, 1, 3, 2), false),
        ((2, 136, 5, 6), true),
        ((2, 136, 9, 2), true),
        ((2, 136, 9, 6), false),
    ] {
        assert_eq!(run(&program, request) == 1, allowed, "{request:?}");
    }
}

#[test]
fn a_rule_for_everything_ends_the_program() {
    let allow_all = compile(&checked(vec![rule(false, "c", 1, 1, "r"), rule(true, "a", -1, -1, "rwm")]).unwrap());
    assert_eq!(allow_all.len(), 8);
    assert_eq!(run(&allow_all, (1, 8, 0, 7)), 1);
}

#[test]
fn the_kernel_takes_the_longest_program() {
    let rules: Vec<_> = (0..MOST as i64).map(|n| rule(n % 2 == 0, "c", n, n, "rw")).collect();
    let mut rules = checked(rules).unwrap();
    // Plus the rules that every container has.
    rules.extend(vec![rules[0]; 16]);
    load_device_program(&compile(&rules)).expect("the verifier accepts it");
}

#[test]
fn v1_rules_are_written_in_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        (rule(false, "a", -1, -1, "rwm"), "devices.deny", "a *:* mrw"),
        (rule(true, "c", 1, 3, "rw"), "devices.allow", "c 1:3 rw"),
        (rule(true, "b", 8, -1, "m"), "devices.allow", "b 8:* m"),
        // Not "a", which would allow everything. The file holds the last of two writes.
        (rule(true, "a", 5, -1, "r"), "devices.allow", "c 5:* r"),
    ];
    for (rule, file, line) in cases {
        std::fs::write(dir.path().join(file), "").unwrap();
        write_v1(&Dir::of_test(dir.path()), &checked(vec![rule]).unwrap()[0]).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join(file)).unwrap(), line);
    }
}
