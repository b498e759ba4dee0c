// SPDX-License-Identifier: Apache-2.0
//! Compares compiled filters, run by a BPF interpreter, with a direct evaluation of the profile.

use super::arch::{Arch, X32_BIT, X32_FIRST, X32_NAMES};
use super::graph::Compare;
use super::kernel::Release;
use super::profile::{Action, Condition, Profile, Rule, Test};
use super::*;
use crate::capabilities::{ALL, DEFAULT, mask};

const KERNEL: Release = Release(6, 18);

/// The part of one call that a filter sees.
#[derive(Debug, Clone, Copy)]
struct Call {
    audit: u32,
    number: u32,
    args: [u64; 6],
}

impl Call {
    fn named(arch: Arch, name: &str, args: [u64; 6]) -> Self {
        Self { audit: arch.audit(), number: arch.number(name).unwrap(), args }
    }

    /// `struct seccomp_data`.
    fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[0..4].copy_from_slice(&self.number.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.audit.to_ne_bytes());
        for (at, arg) in self.args.iter().enumerate() {
            bytes[16 + 8 * at..24 + 8 * at].copy_from_slice(&arg.to_ne_bytes());
        }
        bytes
    }
}

/// Runs a program as the kernel does, and applies the kernel's checks to it. Also returns the number of steps.
fn run(program: &[u8], call: &Call) -> (u32, usize) {
    let code: Vec<&[u8]> = program.chunks_exact(8).collect();
    let data = call.bytes();
    let (mut accumulator, mut at, mut steps) = (0u32, 0usize, 0usize);
    loop {
        steps += 1;
        let op = u32::from(u16::from_ne_bytes([code[at][0], code[at][1]]));
        let (yes, no) = (usize::from(code[at][2]), usize::from(code[at][3]));
        let k = u32::from_ne_bytes(code[at][4..8].try_into().unwrap());
        at += 1;
        let branch = |holds: bool| if holds { yes } else { no };
        match op {
            program::RETURN => return (k, steps),
            program::LOAD => {
                assert!(k % 4 == 0 && k <= 60, "load at {k}");
                accumulator = u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().unwrap());
            }
            program::AND => accumulator &= k,
            program::JUMP => at += k as usize,
            _ if op == program::opcode(Compare::Equal) => at += branch(accumulator == k),
            _ if op == program::opcode(Compare::AtLeast) => at += branch(accumulator >= k),
            _ if op == program::opcode(Compare::Above) => at += branch(accumulator > k),
            _ if op == program::opcode(Compare::AnyOf) => at += branch(accumulator & k != 0),
            _ => panic!("opcode {op:#x}"),
        }
    }
}

/// Evaluates the profile itself, rule by rule.
fn read(profile: &Profile, call: &Call) -> Action {
    let x32 = call.audit == Arch::X32.audit() && call.number >= X32_BIT;
    let own = |arch: &&Arch| arch.audit() == call.audit && (**arch == Arch::X32) == x32;
    let Some(arch) = profile.arches.iter().find(own).copied() else {
        return if x32 { Action::ENOSYS } else { Action::KillProcess };
    };
    let number = call.number & !if x32 { X32_BIT } else { 0 };
    let x32_own = X32_FIRST..X32_FIRST + X32_NAMES.len() as u32;
    let name = match arch {
        Arch::X32 if x32_own.contains(&number) => Some(X32_NAMES[(number - X32_FIRST) as usize]),
        Arch::X32 => arch.name(number as usize).filter(|name| !X32_NAMES.contains(name)),
        _ => arch.name(number as usize),
    };
    let holds = |condition: &Condition| {
        let arg = call.args[usize::from(condition.arg)];
        let test = match condition.test {
            Test::Masked { mask, value } => arg & mask == value,
            Test::AtLeast(value) => arg >= value,
        };
        test == condition.expect
    };
    let ruled = name.and_then(|name| {
        let rules: Vec<&Rule> = profile.rules.iter().filter(|rule| rule.names.iter().any(|n| n == name)).collect();
        let plain = rules.iter().find(|rule| rule.conditions.is_empty());
        let first = || rules.iter().find(|rule| rule.conditions.iter().all(holds));
        plain.or_else(first).map(|rule| rule.action).or_else(|| read_around(profile, arch, name, call.args[0]))
    });
    ruled.unwrap_or_else(|| {
        let newer = profile.newest(arch).is_some_and(|newest| call.number > newest);
        let hidden = profile.default.lets_through() && arch == Arch::X86_64 && x32_own.contains(&number);
        if newer || hidden { Action::ENOSYS } else { profile.default }
    })
}

/// Finds the rule that applies to a call through i386's `socketcall` or `ipc`.
fn read_around(profile: &Profile, arch: Arch, name: &str, first_arg: u64) -> Option<Action> {
    profile.rules.iter().filter(|rule| rule.conditions.is_empty()).find_map(|rule| {
        let ways = rule.names.iter().filter_map(|name| arch.multiplexed(name));
        let mut met = ways.filter(|way| way.through == name && first_arg as u32 & way.mask == way.call);
        met.next().map(|_| rule.action)
    })
}

/// A small generator (xorshift64*): every run has the same cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Values near those that comparisons of halves could get wrong.
    fn value(&mut self) -> u64 {
        let half = |random: &mut Self| match random.below(8) {
            0 => 0,
            1 => 1,
            2 => 0xffff_ffff,
            3 => 0xffff_fffe,
            4 => 0x8000_0000,
            5 => random.below(8),
            _ => random.next() & 0xffff_ffff,
        };
        half(self) << 32 | half(self)
    }

    fn near(&mut self, value: u64) -> u64 {
        match self.below(8) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => value ^ 1 << 32,
            3 => value & 0xffff_ffff,
            4 => value ^ 1 << self.below(64),
            5 => self.value(),
            _ => value,
        }
    }

    fn action(&mut self) -> Action {
        let all = [Action::Allow, Action::EPERM, Action::ENOSYS, Action::KillProcess, Action::KillThread];
        let rare = [Action::Trap, Action::Log, Action::Trace(7), Action::Errno(4095)];
        if self.below(4) == 0 { self.pick(&rare) } else { self.pick(&all) }
    }

    fn condition(&mut self) -> Condition {
        let (mask, value) = (self.value(), self.value());
        let test = match self.below(5) {
            0 => Test::Masked { mask: u64::MAX, value },
            1 => Test::Masked { mask, value: value & mask },
            2 => Test::Masked { mask, value: 0 },
            3 => Test::Masked { mask, value },
            _ => Test::AtLeast(value),
        };
        Condition { arg: self.below(3) as u8, test, expect: self.below(2) == 0 }
    }

    fn rule(&mut self) -> Rule {
        let arch = self.pick(&[Arch::X86_64, Arch::X86, Arch::X86_64]);
        let few = ["socket", "ipc", "socketcall", "shmget", "clone", "ioctl", "execve", "pwritev2", "nosuchcall"];
        let name = |random: &mut Self| match random.below(3) {
            0 => random.pick(&few),
            _ => arch.name(random.below(470) as usize).unwrap_or("nosuchcall"),
        };
        let names = (0..1 + self.below(12)).map(|_| name(self).to_owned()).collect();
        let conditions = (0..self.below(4)).map(|_| self.condition()).collect();
        Rule { names, action: self.action(), conditions }
    }

    fn profile(&mut self) -> Profile {
        let rules = 1 + self.below(40);
        Profile {
            default: self.action(),
            arches: Arch::here().iter().copied().filter(|arch| *arch == Arch::NATIVE || self.below(2) == 0).collect(),
            rules: (0..rules).map(|_| self.rule()).collect(),
            also_known: vec!["read".to_owned()],
            flags: 0,
        }
    }

    fn args(&mut self, conditions: &[Condition]) -> [u64; 6] {
        std::array::from_fn(|_| match self.below(4) {
            0 => self.below(30),
            _ if conditions.is_empty() => self.value(),
            _ => match self.pick(conditions).test {
                Test::Masked { value, .. } | Test::AtLeast(value) => self.near(value),
            },
        })
    }
}

fn conditions_of(profile: &Profile) -> Vec<Condition> {
    profile.rules.iter().flat_map(|rule| rule.conditions.clone()).collect()
}

/// Every number that could matter, for every architecture that a machine could see.
fn calls() -> impl Iterator<Item = (u32, u32)> {
    let edges = [X32_BIT - 1, u32::MAX, u32::MAX - 1, 0x8000_0000, 0x7fff_ffff, 0xf0005];
    let numbers = (0..600).chain((0..600).map(|number| X32_BIT | number)).chain(edges);
    let foreign = [0, 0xc000_0016, u32::MAX];
    let ours = [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm].map(Arch::audit);
    numbers.flat_map(move |number| ours.into_iter().chain(foreign).map(move |audit| (audit, number)))
}

#[test]
fn a_filter_decides_every_call_as_its_profile_reads() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let rounds = 24;
    for round in 0..rounds {
        let profile = random.profile();
        let filter = compile(&profile).unwrap();
        let conditions = conditions_of(&profile);
        for (audit, number) in calls() {
            for _ in 0..2 {
                let call = Call { audit, number, args: random.args(&conditions) };
                let expected = read(&profile, &call).value();
                assert_eq!(run(&filter.program, &call).0, expected, "round {round}: {call:x?}\n{profile:#?}");
            }
        }
    }
}

#[test]
fn long_programs_with_far_jumps_decide_as_their_profiles_read() {
    let mut random = Random(42);
    let mut longest = 0;
    for round in 0..6 {
        let mut profile = random.profile();
        profile.rules.extend((0..250).map(|_| random.rule()));
        let filter = compile(&profile).unwrap();
        longest = longest.max(filter.instructions());
        let conditions = conditions_of(&profile);
        for (audit, number) in calls() {
            let call = Call { audit, number, args: random.args(&conditions) };
            let expected = read(&profile, &call).value();
            assert_eq!(run(&filter.program, &call).0, expected, "round {round}: {call:x?}");
        }
    }
    assert!(longest > 1000, "{longest} instructions do not need far jumps");
}

#[test]
fn the_default_filter_decides_as_its_profile_reads_for_every_relevant_capability() {
    let mut random = Random(7);
    let single = (0..64).map(|bit| 1 << bit).filter(|cap| default::RELEVANT_CAPABILITIES & cap != 0);
    for caps in single.chain([0, DEFAULT, ALL, u64::MAX]) {
        let profile = default::profile(caps & default::RELEVANT_CAPABILITIES, kernel::running());
        let filter = default_filter(caps);
        let conditions = conditions_of(&profile);
        for (audit, number) in calls() {
            let call = Call { audit, number, args: random.args(&conditions) };
            assert_eq!(run(&filter.program, &call).0, read(&profile, &call).value(), "{caps:#x} {call:x?}");
        }
    }
}

/// Writes the profile in the OCI's form and parses it again.
fn through_oci(profile: &Profile, caps: u64) -> Profile {
    let written = serde_json::to_vec(&oci::write(profile)).expect("it is JSON");
    json::parse(&written, caps, KERNEL).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_default_profile_decides_the_same_in_the_ocis_form() {
    let mut random = Random(11);
    for caps in [0, DEFAULT, ALL] {
        let profile = default::profile(caps & default::RELEVANT_CAPABILITIES, KERNEL);
        let again = through_oci(&profile, caps);
        assert_eq!(again.flags, profile.flags);
        let conditions = conditions_of(&profile);
        for (audit, number) in calls() {
            let call = Call { audit, number, args: random.args(&conditions) };
            assert_eq!(read(&again, &call), read(&profile, &call), "{caps:#x} {call:x?}");
        }
        for family in 0..64 {
            let args = [family | 1 << 40, 1, 0, 0, 0, 0];
            let call = Call::named(Arch::NATIVE, "socket", args);
            assert_eq!(read(&again, &call), read(&profile, &call), "{family}");
        }
    }
}

#[test]
fn any_profile_decides_the_same_in_the_ocis_form() {
    let mut random = Random(5);
    let flags = json::FLAGS.map(|(_, flag)| flag as u32);
    for round in 0..12 {
        let mut profile = random.profile();
        profile.flags = flags.iter().filter(|_| round % 2 == 0).sum();
        // No rule of a text has the default action: json/ skips these.
        profile.rules.retain(|rule| rule.action != profile.default);
        for rule in &mut profile.rules {
            rule.conditions.sort_by_key(|condition| condition.arg);
            rule.conditions.dedup_by_key(|condition| condition.arg);
        }
        let again = through_oci(&profile, 0);
        assert_eq!((again.default, &again.arches, again.flags), (profile.default, &profile.arches, profile.flags));
        let conditions = conditions_of(&profile);
        for (audit, number) in calls() {
            let call = Call { audit, number, args: random.args(&conditions) };
            assert_eq!(read(&again, &call), read(&profile, &call), "round {round}: {call:x?}\n{profile:#?}");
        }
    }
}

#[test]
fn the_ocis_form_has_what_was_settled_and_nothing_else() {
    let written = |caps| default_in_oci_form(caps);
    let plain = written(DEFAULT);
    assert_eq!((&plain["defaultAction"], &plain["defaultErrnoRet"]), (&"SCMP_ACT_ERRNO".into(), &1.into()));
    assert_eq!(plain["architectures"][0], Arch::NATIVE.oci_name());
    assert!(plain.get("flags").is_none(), "what a profile has that says nothing");
    let allows = |profile: &serde_json::Value, name: &str| {
        let rules = profile["syscalls"].as_array().expect("rules");
        rules.iter().any(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule["names"].to_string().contains(name))
    };
    assert!(!allows(&plain, "\"mount\"") && allows(&written(ALL), "\"mount\""));
    let text = br#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[
        {"names":["read"],"action":"SCMP_ACT_KILL","includes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["write"],"action":"SCMP_ACT_TRACE","errnoRet":7,"args":[{"index":1,"value":3,"op":"SCMP_CMP_LE"}]}]}"#;
    let written = profile_json_in_oci_form(text, 0).expect("valid");
    let syscalls = serde_json::json!([
        {"names": ["write"], "action": "SCMP_ACT_TRACE", "errnoRet": 7,
            "args": [{"index": 1, "value": 4, "op": "SCMP_CMP_LT"}]},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
    ]);
    assert_eq!((&written["syscalls"], &written["flags"][0]), (&syscalls, &"SECCOMP_FILTER_FLAG_LOG".into()));
    assert!(profile_json_in_oci_form(b"{}", 0).is_err());
}

fn default_decides(caps: u64, name: &str, args: [u64; 6]) -> Action {
    let value = run(&default_filter(caps).program, &Call::named(Arch::NATIVE, name, args)).0;
    let all = [Action::Allow, Action::EPERM, Action::ENOSYS];
    all.into_iter().find(|action| action.value() == value).unwrap()
}

#[test]
fn the_default_profile_knows_every_name_that_it_uses() {
    let known =
        |name: &str| [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm].iter().any(|arch| arch.number(name).is_some());
    let profile = default::profile(ALL, KERNEL);
    let names = profile.rules.iter().flat_map(|rule| &rule.names).chain(&profile.also_known);
    let unknown: Vec<_> = names.filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_default_profile_blocks_what_reaches_past_the_container() {
    for name in [
        "mount",
        "umount2",
        "setns",
        "unshare",
        "pivot_root",
        "init_module",
        "kexec_load",
        "reboot",
        "swapon",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "keyctl",
        "add_key",
        "request_key",
        "io_uring_setup",
        "io_uring_enter",
        "open_by_handle_at",
        "settimeofday",
        "acct",
        "quotactl",
        "move_mount",
        "fsopen",
        "open_tree",
        "mount_setattr",
        "pidfd_getfd",
        "process_madvise",
        "kcmp",
        "sethostname",
        "mbind",
    ] {
        assert_eq!(default_decides(DEFAULT, name, [0; 6]), Action::EPERM, "{name}");
    }
    assert_eq!(default_decides(DEFAULT, "clone3", [0; 6]), Action::ENOSYS);
    for name in ["read", "openat", "execve", "futex", "ptrace", "chroot", "rseq", "epoll_pwait2", "prctl"] {
        assert_eq!(default_decides(DEFAULT, name, [0; 6]), Action::Allow, "{name}");
    }
    assert_eq!(default_decides(DEFAULT & !mask("SYS_CHROOT"), "chroot", [0; 6]), Action::EPERM);
}

/// The kernel shows a caller its own mount namespace and lets it change its own attributes, and no more than /proc does.
#[test]
fn the_default_profile_allows_what_proc_shows_and_takes_in_other_calls() {
    for name in ["statmount", "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules"] {
        for caps in [0, DEFAULT, ALL] {
            assert_eq!(default_decides(caps, name, [0; 6]), Action::Allow, "{name}");
        }
    }
}

#[test]
fn a_capability_brings_the_calls_that_it_is_for() {
    for (cap, name) in [
        ("SYS_ADMIN", "mount"),
        ("SYS_ADMIN", "setns"),
        ("SYS_ADMIN", "clone3"),
        ("SYS_ADMIN", "sethostname"),
        ("SYS_PTRACE", "pidfd_getfd"),
        ("SYS_TIME", "settimeofday"),
        ("SYS_BOOT", "reboot"),
        ("SYS_MODULE", "finit_module"),
        ("SYSLOG", "syslog"),
        ("DAC_READ_SEARCH", "open_by_handle_at"),
        ("SYS_NICE", "mbind"),
        ("PERFMON", "perf_event_open"),
        ("BPF", "bpf"),
        ("SYS_PACCT", "acct"),
        ("SYS_TTY_CONFIG", "vhangup"),
    ] {
        assert_eq!(default_decides(DEFAULT | mask(cap), name, [0; 6]), Action::Allow, "{cap} {name}");
        assert_ne!(default_decides(DEFAULT, name, [0; 6]), Action::Allow, "{name} without {cap}");
    }
}

#[test]
fn the_default_profile_looks_at_the_low_word_of_int_arguments_only() {
    let clone = |flags: u64| default_decides(DEFAULT, "clone", [flags, 0, 0, 0, 0, 0]);
    assert_eq!(clone(libc::CLONE_VM as u64 | 17), Action::Allow);
    for flag in [libc::CLONE_NEWNS, libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP] {
        assert_eq!(clone(flag as u64), Action::EPERM);
        assert_eq!(clone(flag as u64 | 1 << 40), Action::EPERM);
    }
    let socket = |family: u64| default_decides(ALL, "socket", [family, 0, 0, 0, 0, 0]);
    for family in [1, 2, 10, 16, 17, 39, 41] {
        assert_eq!(socket(family), Action::Allow, "{family}");
    }
    for family in [40, 38, 40 | 1 << 32, 38 | 0xffff_ffff << 32] {
        assert_eq!(socket(family), Action::EPERM, "{family:#x}");
    }
    let personality = |persona: u64| default_decides(ALL, "personality", [persona, 0, 0, 0, 0, 0]);
    for persona in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff, u64::MAX] {
        assert_eq!(personality(persona), Action::Allow, "{persona:#x}");
    }
    assert_eq!(personality(0x4_0000), Action::EPERM);
}

#[test]
fn calls_newer_than_the_default_profile_and_x32_are_enosys() {
    let filter = default_filter(DEFAULT);
    for number in [480, 511, 600, X32_BIT, X32_BIT + 59, u32::MAX] {
        let call = Call { audit: Arch::NATIVE.audit(), number, args: [0; 6] };
        assert_eq!(run(&filter.program, &call).0, Action::ENOSYS.value(), "{number}");
    }
    let foreign = Call { audit: 0xc000_0016, number: 0, args: [0; 6] };
    assert_eq!(run(&filter.program, &foreign).0, Action::KillProcess.value());
}

#[test]
fn ptrace_waits_for_a_kernel_where_it_cannot_undo_the_filter() {
    let old = compile(&default::profile(DEFAULT, Release(4, 7))).unwrap();
    let call = Call::named(Arch::NATIVE, "ptrace", [0; 6]);
    assert_eq!(run(&old.program, &call).0, Action::EPERM.value());
}

#[test]
fn the_default_filter_is_short_and_its_paths_are() {
    let mut most = 0;
    for caps in [0, DEFAULT, ALL] {
        let filter = default_filter(caps);
        let steps =
            (0..470).map(|number| run(&filter.program, &Call { audit: Arch::NATIVE.audit(), number, args: [0; 6] }).1);
        let (sum, longest) = steps.fold((0, 0), |(sum, longest), steps| (sum + steps, longest.max(steps)));
        println!(
            "caps {caps:#x}: {} instructions, {} steps on average, {longest} at most",
            filter.instructions(),
            sum / 470
        );
        most = most.max(filter.instructions());
    }
    assert!(most <= 200, "{most} instructions");
}

#[test]
fn a_profile_text_that_is_too_large_or_needs_too_many_instructions_is_refused() {
    let large = vec![b' '; LARGEST_PROFILE + 1];
    assert!(matches!(from_profile_json(&large, 0), Err(Error::TooLarge(_))));
    let rule = |at: u64| {
        format!(
            r#"{{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":{},"args":[{{"index":0,"value":{at},"op":"SCMP_CMP_EQ"}}]}}"#,
            at % 4000 + 1
        )
    };
    let profile = |rules: u64| {
        let rules: Vec<String> = (0..rules).map(rule).collect();
        format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, rules.join(","))
    };
    assert!(matches!(from_profile_json(profile(2500).as_bytes(), 0), Err(Error::TooLong)));
    assert!(matches!(from_profile_json(profile(8000).as_bytes(), 0), Err(Error::TooLong)));
    let most = from_profile_json(profile(700).as_bytes(), 0).unwrap();
    assert!(most.instructions() > 2000, "{}", most.instructions());
    let call = Call::named(Arch::NATIVE, "read", [650, 0, 0, 0, 0, 0]);
    assert_eq!(run(&most.program, &call).0, Action::Errno(651).value());
}

#[test]
fn the_same_question_gets_the_same_filter_and_old_ones_are_let_go() {
    let profile = |errno: u32| format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":{errno}}}"#);
    let first = from_profile_json(profile(1).as_bytes(), 0).unwrap();
    assert!(Arc::ptr_eq(&first, &from_profile_json(profile(1).as_bytes(), 0).unwrap()));
    assert!(!Arc::ptr_eq(&first, &from_profile_json(profile(1).as_bytes(), 1).unwrap()), "capabilities count");
    assert!(
        Arc::ptr_eq(&default_filter(DEFAULT), &default_filter(DEFAULT | mask("NET_ADMIN"))),
        "irrelevant ones do not"
    );
    (2..2 + 2 * KEPT as u32).for_each(|errno| drop(from_profile_json(profile(errno).as_bytes(), 0).unwrap()));
    assert!(FILTERS.kept.lock().unwrap().len() <= KEPT);
    assert_eq!(Arc::strong_count(&first), 1, "the cache has let it go");
}

/// Loads a filter in a child process through Python's ctypes, then tries some calls; returns the output.
fn in_a_process_with(filter: &Filter, tries: &str) -> String {
    let script = r#"
import ctypes, sys, os, time, errno
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
code = bytes.fromhex(sys.argv[1]); flags = int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(code, len(code))
program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0
def call(*args):
    ctypes.set_errno(0)
    result = libc.syscall(*args)
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]
start = time.perf_counter_ns()
loaded = libc.syscall(SECCOMP, 1, flags, ctypes.byref(program))
took = time.perf_counter_ns() - start
assert loaded == 0, os.strerror(ctypes.get_errno())
print("loaded in", took // 1000, "us")
"#;
    let script = script.replace("SECCOMP", &Arch::NATIVE.number("seccomp").unwrap().to_string()) + tries;
    let hex: String = filter.program.iter().map(|byte| format!("{byte:02x}")).collect();
    let run = std::process::Command::new("python3")
        .args(["-c", &script, &hex, &filter.flags.to_string()])
        .output()
        .expect("python3 runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn the_kernel_takes_the_default_filter_and_decides_as_it_says() {
    let number = |name: &str| Arch::NATIVE.number(name).unwrap();
    let tries = format!(
        "import subprocess, socket\n\
         print('mount', call({}, 0, 0, 0, 0, 0))\n\
         print('unshare', call({}, 0x10000000))\n\
         print('clone3', call({}, 0, 0))\n\
         print('newer', call(500))\n\
         print('getpid', call({}))\n\
         print('vsock', call({}, 40 | 1 << 32, 1, 0))\n\
         print('thread and child', subprocess.run(['sh', '-c', 'echo $((1+1)) | cat']).returncode)\n",
        number("mount"),
        number("unshare"),
        number("clone3"),
        number("getpid"),
        number("socket"),
    );
    let filter = default_filter(DEFAULT);
    let printed = in_a_process_with(&filter, &tries);
    println!("{} instructions\n{printed}", filter.instructions());
    for line in [
        "mount EPERM",
        "unshare EPERM",
        "clone3 ENOSYS",
        "newer ENOSYS",
        "getpid ok",
        "vsock EPERM",
        "thread and child 0",
    ] {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
}
