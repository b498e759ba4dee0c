// SPDX-License-Identifier: Apache-2.0
//! Tests pods with a PID namespace (and its init), and pods with a user namespace.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use driver::eventually;
use pods::Node;
use std::fs;
use std::os::unix::fs::MetadataExt;

fn status(pid: u32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the init runs");
    let line = text.lines().find(|line| line.starts_with(&format!("{field}:"))).expect("field");
    line.split_once(':').expect("colon").1.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_shared_pid_namespace_has_an_init_that_holds_nothing() {
    let node = Node::new();
    for own_user in [false, true] {
        let mut pod = node.pod();
        pod.request.own_pid = true;
        if own_user {
            pod.own_user();
        }
        let ready = pod.setup();
        let pid = ready.init_pid;
        assert!(pid > 1 && ready.init_start_ticks > 0);
        assert_eq!(fs::metadata(format!("/proc/{pid}/ns/pid")).unwrap().ino(), pod.inode("pid"));
        assert_eq!(status(pid, "NSpid"), format!("{pid} 1"));
        assert_eq!(fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(format!("/proc/{pid}/root/")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap().lines().count(), 1);
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(status(pid, set), "0000000000000000", "{set}");
        }
        let id = if own_user { 700_000 } else { 65_534 };
        assert_eq!(status(pid, "Uid"), format!("{id} {id} {id} {id}"));
        assert_eq!((status(pid, "NoNewPrivs"), status(pid, "Groups")), ("1".into(), "".into()));
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert_eq!(line.trim_end_matches('\0'), "gorae-pod-init");
        assert!(fs::read(format!("/proc/{pid}/environ")).unwrap().iter().all(|byte| *byte == 0));
        assert!(!remembers(pid, &pod.request.run_dir), "its memory holds paths of the node");
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let path = pod.request.cgroup.as_ref().unwrap().path.clone();
        for controller in ["memory", "pids", "cpu"] {
            let joined = cgroup.lines().any(|line| {
                line.contains(&path) && (line.starts_with("0::") || line.contains(&format!(":{controller}:")))
            });
            assert!(joined, "{controller}: {cgroup}");
        }
        pod.clean();
        pod.assert_clean();
        eventually("the init is gone", || match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        });
    }
}

/// Whether the writable memory of a process contains a text.
fn remembers(pid: u32, text: &str) -> bool {
    use std::os::unix::fs::FileExt;
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(maps.contains("[stack]"), "{maps}");
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (range, _) = line.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("its ends");
        let [start, end] = [start, end].map(|end| u64::from_str_radix(end, 16).expect("hexadecimal"));
        let mut bytes = vec![0; (end - start) as usize];
        memory.read_exact_at(&mut bytes, start).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn the_init_reaps_orphans_and_no_signal_ends_it() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.request.own_pid = true;
    let pid = pod.setup().init_pid;
    // The first process in the namespace exits before its children do.
    for _ in 0..20 {
        let mut command = pod.nsenter(&["pid"], "(sleep 0.05 & sleep 0.01 &) ; exit 0");
        assert!(command.status().expect("nsenter").success());
    }
    eventually("all orphans are reaped", || {
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap().is_empty()
    });
    for signal in 1..=31 {
        if signal != libc_signal::KILL && signal != libc_signal::STOP {
            let outside = std::process::Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
            assert!(outside.unwrap().success());
            assert!(pod.nsenter(&["pid"], &format!("kill -{signal} 1")).status().unwrap().success());
        }
    }
    assert!(status(pid, "State").starts_with('S'));
    pod.clean();
    pod.assert_clean();
}

mod libc_signal {
    pub const KILL: i32 = 9;
    pub const STOP: i32 = 19;
}

#[test]
fn the_init_is_small() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.request.own_pid = true;
    let pid = pod.setup().init_pid;
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let kilobytes = |field: &str| -> u64 {
        let line = rollup.lines().find(|line| line.starts_with(field)).expect("field");
        line.split_whitespace().nth(1).expect("number").parse().expect("number")
    };
    let private = kilobytes("Private_Dirty:");
    println!("init: PSS {} kB, private dirty {private} kB", kilobytes("Pss:"));
    // The release binary (static, small) has few dirty pages; the debug binary has all of its relocations.
    let limit = if std::env::var_os("GORAE_SHIM").is_some() { 150 } else { 4_096 };
    assert!(private < limit, "{private} kB");
    pod.clean();
}

#[test]
fn the_namespaces_of_a_pod_with_a_user_namespace_belong_to_it() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.request.own_pid = true;
    pod.own_user().sysctl("net.ipv4.ip_forward", "1").sysctl("kernel.msgmax", "5555");
    pod.setup();
    assert_eq!(pod.inside(&["uts"], || fs::read_to_string("/proc/sys/kernel/hostname").unwrap()), "box\n");
    let values = pod.inside(&["net", "ipc"], || {
        ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax"].map(|p| fs::read_to_string(p).unwrap())
    });
    assert_eq!(values, ["1\n", "5555\n"]);
    // Root of the user namespace, unprivileged on the node, may change the settings of its namespaces.
    let all = ["user", "net", "ipc", "uts"];
    for command in [
        "hostname changed || echo changed > /proc/sys/kernel/hostname",
        "ip link set eth0 down",
        "ip addr add 10.9.9.9/32 dev lo",
        "echo 7777 > /proc/sys/kernel/msgmax",
    ] {
        let status = pod.nsenter(&all, command).status().expect("nsenter");
        assert!(status.success(), "{command}");
    }
    // The same identity may not change the node's.
    assert!(!pod.nsenter(&["user"], "ip link set br-test down 2>/dev/null").status().unwrap().success());
    let shm = fs::metadata(pod.run_dir.join("shm")).unwrap();
    assert_eq!((shm.uid(), shm.gid()), (700_000, 700_000));
    pod.clean();
    pod.assert_clean();
}

#[test]
fn a_bad_id_map_is_told_and_the_pod_is_undone() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.own_user();
    let user = pod.request.user.as_mut().unwrap();
    user.uids.push(user.uids[0]);
    let failure = pod.try_setup().unwrap_err();
    assert!(failure.message.starts_with("map ids uid_map"), "{failure:?}");
    pod.assert_clean();
}
