// SPDX-License-Identifier: Apache-2.0
//! The built-in profile: it allows what programs need by name, and everything else fails with EPERM.
//!
//! It blocks what reaches beyond the container (mounts, namespaces, modules, other processes' memory, clocks, keys, raw
//! devices), what has repeatedly been a way into the kernel and is rarely needed (bpf, userfaultfd, io_uring, AF_ALG,
//! AF_VSOCK), and what is obsolete. A granted capability also allows its calls.

use super::arch::Arch;
use super::kernel::Release;
use super::profile::{Action, Condition, Profile, Rule};
use crate::capabilities::mask;

/// Always allowed, by subject.
const ALWAYS: &[&[&str]] =
    &[FILES, METADATA, EVENTS, MEMORY, SYSTEM_V, PROCESSES, SIGNALS, IDENTITY, SCHEDULING, TIME, SOCKETS, ITSELF];

const FILES: &[&str] = &[
    "open",
    "openat",
    "openat2",
    "creat",
    "close",
    "close_range",
    "read",
    "readv",
    "pread64",
    "preadv",
    "preadv2",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "lseek",
    "_llseek",
    "truncate",
    "truncate64",
    "ftruncate",
    "ftruncate64",
    "fallocate",
    "fadvise64",
    "fadvise64_64",
    "arm_fadvise64_64",
    "readahead",
    "sync",
    "syncfs",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "arm_sync_file_range",
    "copy_file_range",
    "sendfile",
    "sendfile64",
    "splice",
    "tee",
    "vmsplice",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "fcntl64",
    "flock",
    "ioctl",
    "pipe",
    "pipe2",
    "io_setup",
    "io_destroy",
    "io_submit",
    "io_cancel",
    "io_getevents",
    "io_pgetevents",
    "io_pgetevents_time64",
    "memfd_create",
    "memfd_secret",
    "cachestat",
];

const METADATA: &[&str] = &[
    "access",
    "faccessat",
    "faccessat2",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "fstat",
    "fstat64",
    "fstatat64",
    "newfstatat",
    "oldstat",
    "oldlstat",
    "oldfstat",
    "statx",
    "statfs",
    "statfs64",
    "fstatfs",
    "fstatfs64",
    "statmount",
    "listmount",
    "umask",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "symlink",
    "symlinkat",
    "readlink",
    "readlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mknod",
    "mknodat",
    "chdir",
    "fchdir",
    "getcwd",
    "readdir",
    "getdents",
    "getdents64",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "chown32",
    "lchown",
    "lchown32",
    "fchown",
    "fchown32",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "utimensat_time64",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "getxattrat",
    "listxattr",
    "llistxattr",
    "flistxattr",
    "listxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
    "file_getattr",
    "file_setattr",
    "name_to_handle_at",
];

const EVENTS: &[&str] = &[
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_ctl_old",
    "epoll_wait",
    "epoll_wait_old",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd2",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_settime64",
    "timerfd_gettime",
    "timerfd_gettime64",
    "inotify_init",
    "inotify_init1",
    "inotify_add_watch",
    "inotify_rm_watch",
    "fanotify_mark",
];

const MEMORY: &[&str] = &[
    "brk",
    "mmap",
    "mmap2",
    "munmap",
    "mremap",
    "mprotect",
    "msync",
    "mincore",
    "madvise",
    "mlock",
    "mlock2",
    "munlock",
    "mlockall",
    "munlockall",
    "remap_file_pages",
    "membarrier",
    "mseal",
    "map_shadow_stack",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "process_mrelease",
];

const SYSTEM_V: &[&str] = &[
    "ipc",
    "shmget",
    "shmat",
    "shmdt",
    "shmctl",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "semtimedop_time64",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
    "mq_timedsend",
    "mq_timedsend_time64",
    "mq_timedreceive",
    "mq_timedreceive_time64",
    "mq_notify",
    "mq_getsetattr",
];

const PROCESSES: &[&str] = &[
    "fork",
    "vfork",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "wait4",
    "waitid",
    "waitpid",
    "getpid",
    "gettid",
    "getppid",
    "getpgid",
    "setpgid",
    "getpgrp",
    "getsid",
    "setsid",
    "pidfd_open",
    "pidfd_send_signal",
    "getrusage",
    "getrlimit",
    "ugetrlimit",
    "setrlimit",
    "prlimit64",
    "times",
    "uname",
    "olduname",
    "oldolduname",
    "sysinfo",
    "getcpu",
    "getrandom",
    "set_tid_address",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "futex",
    "futex_time64",
    "futex_waitv",
    "futex_wait",
    "futex_wake",
    "futex_requeue",
    "get_thread_area",
    "set_thread_area",
    "modify_ldt",
    "arch_prctl",
    "set_tls",
    "cacheflush",
    "breakpoint",
    "uretprobe",
    "uprobe",
];

const SIGNALS: &[&str] = &[
    "kill",
    "tkill",
    "tgkill",
    "pause",
    "signal",
    "sigaction",
    "sigaltstack",
    "sigpending",
    "sigprocmask",
    "sigreturn",
    "sigsuspend",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo",
    "restart_syscall",
    "sgetmask",
    "ssetmask",
];

const IDENTITY: &[&str] = &[
    "getuid",
    "getuid32",
    "geteuid",
    "geteuid32",
    "getgid",
    "getgid32",
    "getegid",
    "getegid32",
    "getresuid",
    "getresuid32",
    "getresgid",
    "getresgid32",
    "getgroups",
    "getgroups32",
    "setuid",
    "setuid32",
    "setgid",
    "setgid32",
    "setreuid",
    "setreuid32",
    "setregid",
    "setregid32",
    "setresuid",
    "setresuid32",
    "setresgid",
    "setresgid32",
    "setfsuid",
    "setfsuid32",
    "setfsgid",
    "setfsgid32",
    "setgroups",
    "setgroups32",
    "capget",
    "capset",
];

const SCHEDULING: &[&str] = &[
    "sched_yield",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_getattr",
    "sched_setattr",
    "sched_getparam",
    "sched_setparam",
    "sched_getscheduler",
    "sched_setscheduler",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_rr_get_interval",
    "sched_rr_get_interval_time64",
    "getpriority",
    "setpriority",
    "nice",
    "ioprio_get",
    "ioprio_set",
];

/// The kernel refuses to set a clock without CAP_SYS_TIME; `adjtimex` also reads.
const TIME: &[&str] = &[
    "time",
    "gettimeofday",
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "nanosleep",
    "alarm",
    "getitimer",
    "setitimer",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_gettime64",
    "timer_settime",
    "timer_settime64",
    "adjtimex",
    "clock_adjtime",
    "clock_adjtime64",
];

/// `socket` has its own rule.
const SOCKETS: &[&str] = &[
    "socketcall",
    "socketpair",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "getsockname",
    "getpeername",
    "send",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "recvmmsg_time64",
    "getsockopt",
    "setsockopt",
    "shutdown",
];

/// Calls with which a process confines itself or queries its confinement.
const ITSELF: &[&str] = &[
    "prctl",
    "seccomp",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
    "lsm_get_self_attr",
    "lsm_set_self_attr",
    "lsm_list_modules",
];

/// The calls that a capability allows; each of them is also guarded by the kernel's capability check.
const WITH_CAPABILITY: &[(u64, &[&str])] = &[
    (
        mask("SYS_ADMIN"),
        &[
            "clone",
            "clone3",
            "unshare",
            "setns",
            "mount",
            "umount",
            "umount2",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "sethostname",
            "setdomainname",
            "fanotify_init",
            "quotactl",
            "quotactl_fd",
            "lookup_dcookie",
            "syslog",
            "bpf",
            "perf_event_open",
        ],
    ),
    (
        mask("SYS_PTRACE"),
        &["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"],
    ),
    (mask("SYS_NICE"), &["mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node"]),
    (mask("SYS_TIME"), &["settimeofday", "stime", "clock_settime", "clock_settime64"]),
    (mask("SYS_MODULE"), &["init_module", "finit_module", "delete_module"]),
    (mask("SYS_RAWIO"), &["iopl", "ioperm"]),
    (mask("SYS_BOOT"), &["reboot"]),
    (mask("SYS_CHROOT"), &["chroot"]),
    (mask("SYS_PACCT"), &["acct"]),
    (mask("SYS_TTY_CONFIG"), &["vhangup"]),
    (mask("DAC_READ_SEARCH"), &["open_by_handle_at"]),
    (mask("SYSLOG"), &["syslog"]),
    (mask("BPF"), &["bpf"]),
    (mask("PERFMON"), &["perf_event_open"]),
];

/// Every capability that changes the profile.
pub(super) const RELEVANT_CAPABILITIES: u64 = {
    let (mut all, mut at) = (0, 0);
    while at < WITH_CAPABILITY.len() {
        all |= WITH_CAPABILITY[at].0;
        at += 1;
    }
    all
};

/// From this release on, a tracer cannot change a call after the filter has let it through.
const PTRACE_IS_SAFE: Release = Release(4, 8);

/// Flags of `clone` that create namespaces. (There, the bit of CLONE_NEWTIME is part of the exit signal.)
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u32;

/// PER_LINUX, PER_LINUX32, each also with UNAME26, and the value that queries the current personality.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, u32::MAX];

/// Makes the profile for a capability set on a kernel.
pub(super) fn profile(caps: u64, kernel: Release) -> Profile {
    let mut rules = vec![allow(ALWAYS.iter().copied().flatten())];
    rules.extend(WITH_CAPABILITY.iter().filter(|(mask, _)| caps & mask != 0).map(|(_, names)| allow(names.iter())));
    if kernel >= PTRACE_IS_SAFE {
        rules.push(allow(["ptrace", "process_vm_readv", "process_vm_writev"].iter()));
    }
    if caps & mask("SYS_ADMIN") == 0 {
        rules.push(only_if("clone", Action::Allow, &[Condition::low_word(0, NAMESPACES, 0, true)]));
        // Its flags are in memory, where a filter cannot read them; ENOSYS makes libraries fall back to clone.
        rules.push(Rule { names: vec!["clone3".into()], action: Action::ENOSYS, conditions: Vec::new() });
    }
    rules.extend(
        PERSONALITIES
            .map(|persona| only_if("personality", Action::Allow, &[Condition::low_word(0, u32::MAX, persona, true)])),
    );
    let families = [libc::AF_VSOCK, libc::AF_ALG];
    let other = families.map(|family| Condition::low_word(0, u32::MAX, family as u32, false));
    rules.push(only_if("socket", Action::Allow, &other));
    Profile {
        default: Action::EPERM,
        arches: Arch::here().iter().copied().filter(|arch| *arch != Arch::X32).collect(),
        rules,
        also_known: WITH_CAPABILITY.iter().flat_map(|(_, names)| *names).map(|name| (*name).to_owned()).collect(),
        flags: libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32,
    }
}

fn allow<'a>(names: impl Iterator<Item = &'a &'a str>) -> Rule {
    Rule { names: names.map(|name| (*name).to_owned()).collect(), action: Action::Allow, conditions: Vec::new() }
}

fn only_if(name: &str, action: Action, conditions: &[Condition]) -> Rule {
    Rule { names: vec![name.to_owned()], action, conditions: conditions.to_vec() }
}
