// SPDX-License-Identifier: Apache-2.0
//! Tests what a container can see and do: namespaces, mounts, devices, identity, capabilities, seccomp, descriptors.

mod driver;

use driver::{Bench, unique};
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::mount::Propagation;
use gorae_proto::shim::{Capabilities, Device, Mount, Rlimit, User};
use std::fs;
use std::ops::Add;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Runs a container until it ends and returns its output; the exit code must be 0.
fn output(bench: Bench) -> String {
    let mut container = bench.run();
    let code = container.wait().exit_code;
    let (out, err) = (container.bench.output("stdout"), container.bench.output("stderr"));
    assert_eq!(code, 0, "stdout: {out}\nstderr: {err}");
    out
}

#[test]
fn nothing_of_the_host_is_visible_and_the_usual_places_are_mounted() {
    let out = output(Bench::sh("cat /proc/self/mountinfo; ls /; ls /dev; echo pid $$; cat /proc/1/comm"));
    let host = std::env::temp_dir().display().to_string();
    assert!(!out.contains(&format!("{host}/gorae-shim")) || out.contains("overlay"), "{out}");
    for place in [" / ", " /proc ", " /dev ", " /dev/pts ", " /dev/mqueue ", " /dev/shm ", " /sys ", " /sys/fs/cgroup "]
    {
        assert!(out.contains(place), "{place} is not mounted:\n{out}");
    }
    for name in
        ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr", "pts", "shm"]
    {
        assert!(out.lines().any(|l| l == name), "/dev/{name} is missing:\n{out}");
    }
    assert!(out.contains("pid 1\n"), "{out}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("gorae-shim-"), "{mounts}");
}

#[test]
fn device_nodes_work_and_have_their_modes() {
    let mut bench = Bench::sh(
        "stat -c '%F %t:%T %a %u' /dev/null /dev/fuse /dev/sub/loop7; echo x >/dev/null; head -c 4 /dev/zero | wc -c; \
         readlink /dev/ptmx; umask",
    );
    let device = |path: &str, kind: &str, major, minor| Device {
        path: path.into(),
        kind: kind.into(),
        major,
        minor,
        mode: 0o660,
        uid: 5,
        ..Device::default()
    };
    bench.start.devices = vec![device("/dev/fuse", "c", 10, 229), device("/dev/sub/loop7", "b", 7, 7)];
    let out = output(bench);
    let expected = "character special file 1:3 666 0\ncharacter special file a:e5 660 5\nblock special file 7:7 660 5\n4\n\
        pts/ptmx\n0022\n";
    assert_eq!(out, expected);
}

#[test]
fn a_node_that_is_there_already_is_fine_when_it_is_the_very_device() {
    for (minor, fits) in [(7, true), (8, false)] {
        let mut bench = Bench::sh("stat -c '%F %t:%T' /nodes/loop");
        let nodes = bench.path("layer").join("nodes");
        fs::create_dir(&nodes).unwrap();
        let number = rustix::fs::makedev(7, 7);
        let kind = rustix::fs::FileType::BlockDevice;
        rustix::fs::mknodat(rustix::fs::CWD, nodes.join("loop"), kind, 0o600.into(), number).unwrap();
        let device = Device { path: "/nodes/loop".into(), kind: "b".into(), major: 7, minor, ..Device::default() };
        bench.start.devices = vec![device];
        if fits {
            assert_eq!(output(bench), "block special file 7:7\n");
        } else {
            assert_eq!(bench.try_run().err().expect("a stranger").0.kind(), Kind::AlreadyExists);
        }
    }
}

#[test]
fn masked_and_read_only_paths_hold() {
    let mut bench = Bench::sh(
        "ls /sys/firmware | wc -l; stat -c %t:%T /proc/keys; \
         (echo 1 >/proc/sys/vm/overcommit_memory) 2>&1; (touch /proc/acpi/x || touch /proc/scsi/x) 2>&1; (touch /secret/x) 2>&1; \
         ls /secret; (touch /frozen/x) 2>&1; cat /frozen/f; touch /sys/x 2>&1; true",
    );
    for dir in ["secret", "frozen"] {
        fs::create_dir(bench.path("layer").join(dir)).unwrap();
        fs::write(bench.path("layer").join(dir).join("f"), "content\n").unwrap();
    }
    bench.start.masked_paths.extend(["/secret".into(), "/not/there".into(), "/etc/passwd/below-a-file".into()]);
    bench.start.readonly_paths.extend(["/frozen".into(), "/nor/this".into()]);
    let out = output(bench);
    assert!(out.starts_with("0\n1:3\n"), "{out}");
    for path in ["/proc/sys/vm/overcommit_memory", "/secret/x", "/frozen/x", "/sys/x"] {
        assert!(out.contains(&format!("{path}: Read-only file system")), "{path} in {out}");
    }
    assert!(out.contains("content\n") && !out.contains("\nf\n"), "{out}");
}

#[test]
fn the_hosts_null_device_serves_a_container_and_cannot_be_changed_by_it() {
    // The guard gives the shim a null device of the test's own; otherwise the test would use the machine's.
    let own = OwnNull::new();
    let change = "for it in $TARGETS; do chmod 0 $it; busybox chown 1:1 $it; busybox touch $it; done 2>&1; ";
    let masks = "echo x >/proc/keys && test -z \"$(cat /proc/keys)\" && test -z \"$(cat)\" && echo works; sleep 100";
    let mut bench = Bench::sh(&change.replace("$TARGETS", "/proc/keys /masked /proc/self/fd/0").add(masks));
    fs::write(bench.path("layer/masked"), "").unwrap();
    bench.start.masked_paths.push("/masked".into());
    let mut container = bench.run();
    driver::eventually("output", || container.bench.output("stdout").ends_with("works\n"));
    let out = container.bench.output("stdout");
    assert_eq!(out.matches("Read-only file system").count(), 9, "{out}");
    let streams = change.replace("$TARGETS", "/proc/self/fd/0").add("echo x >&0 && test -z \"$(cat)\" && echo works");
    let (exited, out, err) = container.exec(&["sh", "-c", &streams]);
    assert_eq!((exited.exit_code, out.matches("Read-only file system").count()), (0, 3), "{out}{err}");
    assert!(out.ends_with("works\n"), "{out}");
    assert_eq!(own.mode_and_owner(), (0o666, 0, 0));
    container.kill();
}

#[test]
fn a_read_only_root_is_read_only_and_its_mounts_are_not() {
    let mut bench = Bench::sh("(touch /x) 2>&1; touch /data/y && echo wrote; touch /dev/shm/z && echo shm");
    bench.start.rootfs.as_mut().unwrap().readonly = true;
    let data = bench.path("data");
    bench.bind(&data, "/data");
    assert_eq!(output(bench), "touch: /x: Read-only file system\nwrote\nshm\n");
}

#[test]
fn writes_go_to_the_upper_directory_and_never_to_a_layer() {
    let mut bench = Bench::sh("echo new >/etc/passwd; rm /etc/group; echo hi >/added; stat -c %a /");
    let top = bench.path("top");
    fs::create_dir_all(top.join("etc")).unwrap();
    fs::write(top.join("etc/top"), "").unwrap();
    let bottom = bench.path("layer").display().to_string();
    bench.start.rootfs.as_mut().unwrap().layers = vec![top.display().to_string(), bottom];
    let (layer, root) = (bench.path("layer"), bench.path("root"));
    let mut container = bench.run();
    assert_eq!(container.wait().exit_code, 0);
    assert_eq!(container.bench.output("stdout"), "755\n");
    assert_eq!(fs::read_to_string(root.join("upper/added")).unwrap(), "hi\n");
    assert!(fs::read_to_string(layer.join("etc/passwd")).unwrap().contains("bob"));
    assert!(layer.join("etc/group").exists() && !layer.join("added").exists());
}

#[test]
fn two_hundred_layers_are_one_root() {
    let mut bench = Bench::sh("cat /n/0 /n/199");
    let mut layers = Vec::new();
    for n in 0..200 {
        let layer = bench.path(&format!("a-rather-long-name-of-a-layer-directory-{n}"));
        fs::create_dir_all(layer.join("n")).unwrap();
        fs::write(layer.join("n").join(n.to_string()), format!("{n}\n")).unwrap();
        layers.push(layer.display().to_string());
    }
    layers.push(bench.path("layer").display().to_string());
    bench.start.rootfs.as_mut().unwrap().layers = layers;
    assert_eq!(output(bench), "0\n199\n");
}

#[test]
fn binds_show_host_files_and_directories_with_their_options() {
    let mut bench = Bench::sh(
        "cat /conf; echo more >>/rw/f; (echo x >/ro/f) 2>&1; (touch /ro/sub/deep) 2>&1; (/noexec/bin/true) 2>&1; \
         grep -c . /made/later/there 2>&1; grep ' /nosuid ' /proc/self/mountinfo | grep -c nosuid",
    );
    let (file, rw, ro) = (bench.path("file"), bench.path("rw"), bench.path("ro"));
    fs::write(&file, "configuration\n").unwrap();
    fs::create_dir(&rw).unwrap();
    fs::create_dir_all(ro.join("sub")).unwrap();
    let layer = bench.path("layer");
    bench.bind(&file, "/conf");
    bench.bind(&rw, "/rw");
    bench.bind(&ro, "/ro").readonly = true;
    bench.bind(&layer, "/noexec").noexec = true;
    bench.bind(&rw, "/nosuid").nosuid = true;
    bench.bind(&file, "/made/later/there");
    let out = output(bench);
    assert!(out.starts_with("configuration\n"), "{out}");
    assert_eq!(out.matches("Read-only file system").count(), 2, "{out}");
    assert!(out.contains("Permission denied") && out.ends_with("1\n1\n"), "{out}");
}

#[test]
fn a_missing_bind_source_is_made_with_mode_755() {
    let mut bench = Bench::sh("touch /created/x; true");
    let created = bench.path("a/b/created");
    bench.bind(&created, "/created");
    let mut container = bench.run();
    container.wait();
    assert!(created.join("x").exists());
    assert_eq!(fs::metadata(&created).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn recursive_read_only_reaches_mounts_below_and_plain_read_only_does_not() {
    for (recursive, writable) in [(false, true), (true, false)] {
        let mut bench = Bench::sh("touch /data/below/x && echo wrote; true");
        let data = bench.path("data");
        let host = HostMount::tmpfs(&data.join("below"));
        let mount = bench.bind(&data, "/data");
        (mount.readonly, mount.recursive_readonly) = (true, recursive);
        assert_eq!(output(bench), if writable { "wrote\n" } else { "" });
        drop(host);
    }
}

#[test]
fn propagation_goes_where_it_was_asked_to_go() {
    for (propagation, into_container, out_of_it) in
        [(Propagation::Private, false, false), (Propagation::Slave, true, false), (Propagation::Shared, true, true)]
    {
        let mut bench = Bench::new(&["/bin/sleep", "100"]);
        let data = bench.path("data");
        let host = HostMount::shared(&data);
        fs::create_dir(data.join("host")).unwrap();
        fs::create_dir(data.join("inside")).unwrap();
        bench.bind(&data, "/data").propagation = propagation.into();
        if propagation != Propagation::Private {
            let name = if propagation == Propagation::Slave { "slave" } else { "shared" };
            bench.start.rootfs.as_mut().unwrap().propagation = name.into();
        }
        all_capabilities(&mut bench);
        let mut container = bench.run();
        let late = HostMount::tmpfs(&data.join("host"));
        let (_, sees, _) = container.exec(&["grep", "-c", " /data/host ", "/proc/self/mountinfo"]);
        assert_eq!(sees == "1\n", into_container, "{propagation:?}");
        let (exited, _, err) = container.exec(&["mount", "-t", "tmpfs", "x", "/data/inside"]);
        assert_eq!(exited.exit_code, 0, "{err}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let inside = data.join("inside").display().to_string();
        assert_eq!(mounts.contains(&inside), out_of_it, "{propagation:?}");
        if out_of_it {
            drop(HostMount(data.join("inside")));
        }
        drop((late, host));
        container.kill();
    }
}

#[test]
fn what_is_mounted_inside_of_a_shared_volume_is_the_containers_alone_and_the_volume_goes_on_sharing() {
    let mut bench = Bench::new(&["/bin/sleep", "100"]);
    let data = bench.path("da ta");
    let host = HostMount::shared(&data);
    for name in ["host", "volume", "masked", "kept"] {
        fs::create_dir(data.join(name)).unwrap();
    }
    fs::write(data.join("file"), "seen\n").unwrap();
    let volume = bench.path("volume");
    fs::create_dir(&volume).unwrap();
    bench.bind(&data, "/da ta").propagation = Propagation::Shared.into();
    bench.bind(&volume, "/da ta/volume");
    bench.start.rootfs.as_mut().unwrap().propagation = "shared".into();
    bench.start.masked_paths.extend(["/da ta/masked".into(), "/da ta/file".into()]);
    bench.start.readonly_paths.push("/da ta/kept".into());
    let mut container = bench.run();
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", container.state.pid)).unwrap();
    let shared: Vec<_> = table.lines().filter(|l| l.contains(" shared:")).collect();
    let places: Vec<_> = shared.iter().map(|line| line.split(' ').nth(4).unwrap()).collect();
    assert_eq!(places, ["/", "/da\\040ta"], "the root has its own peer group:\n{table}");
    let inside = table.lines().filter(|line| line.contains(" /da\\040ta/")).count();
    assert_eq!(inside, 4, "{table}");
    let late = HostMount::tmpfs(&data.join("host"));
    let (_, sees, _) = container.exec(&["grep", "-c", "host ", "/proc/self/mountinfo"]);
    assert_eq!(sees, "1\n", "a mount that the host makes later");
    drop(late);
    let below = data.display().to_string().replace(' ', "\\040") + "/";
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&below), "{mounts}");
    container.kill();
    drop(host);
}

/// debugfs has one automount point: its `tracing` is another file system once it is accessed.
#[test]
fn an_automount_point_is_mounted_before_it_is_bound() {
    use rustix::mount::{MountFlags, mount};
    let mut bench = Bench::sh("stat -f -c %t /data");
    let debug = bench.path("debug");
    fs::create_dir(&debug).unwrap();
    mount("debugfs", &debug, "debugfs", MountFlags::empty(), None).unwrap();
    let host = HostMount(debug.clone());
    bench.bind(&debug.join("tracing"), "/data");
    assert_eq!(output(bench), "74726163\n", "tracefs");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(mounts.contains(&debug.join("tracing").display().to_string()), "{mounts}");
    let _ = rustix::mount::unmount(debug.join("tracing"), rustix::mount::UnmountFlags::DETACH);
    drop(host);
}

#[test]
fn propagation_from_a_private_mount_is_refused() {
    let mut bench = Bench::sh("true");
    let data = bench.path("data");
    let host = HostMount::tmpfs(&data);
    bench.bind(&data, "/data").propagation = Propagation::Shared.into();
    let (failure, bench) = bench.try_run().err().expect("refused");
    assert_eq!(failure.kind(), Kind::FailedPrecondition);
    drop(host);
    bench.assert_clean();
}

#[test]
fn nothing_may_be_mounted_inside_proc() {
    let mut bench = Bench::sh("true");
    let data = bench.path("data");
    bench.bind(&data, "/proc/sys");
    let (failure, bench) = bench.try_run().err().expect("refused");
    assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, "/proc/sys"));
    bench.assert_clean();
}

#[test]
fn links_in_the_image_cannot_move_mounts_devices_or_the_working_directory_out() {
    let canary = tempfile::tempdir().unwrap();
    let outside = canary.path().display().to_string();
    let mut bench = Bench::sh("pwd; ls /dev/null; touch /data/x; ls /proc/self/exe >/dev/null");
    let layer = bench.path("layer");
    for (name, target) in [
        ("dev", outside.as_str()),
        ("proc", "/../../../../../../../../etc"),
        ("sys", "../../../../../../../../../srv"),
        ("data", &format!("../../../../../../../..{outside}/data")),
        ("work", &format!("{outside}/work")),
    ] {
        symlink(target, layer.join(name)).unwrap();
    }
    let data = bench.path("data");
    bench.bind(&data, "/data");
    bench.process().cwd = "/work".into();
    let mut container = bench.run();
    assert_eq!(container.wait().exit_code, 0, "{}", container.bench.log());
    assert_eq!(container.bench.output("stdout"), format!("{outside}/work\n/dev/null\n"));
    assert!(data.join("x").exists());
    assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0, "the canary is untouched");
}

#[test]
fn a_working_directory_in_proc_self_fd_does_not_lead_to_the_host() {
    for n in 3..40 {
        for cwd in [format!("/proc/self/fd/{n}"), format!("/proc/self/fd/{n}/../..")] {
            let mut bench = Bench::sh("ls -d /proc/1 >/dev/null; pwd");
            bench.process().cwd = cwd;
            if let Ok(mut container) = bench.try_run() {
                container.wait();
                let out = container.bench.output("stdout");
                assert!(out.starts_with('/') && !out.contains("unreachable"), "{out}");
            }
        }
        if n > 12 {
            break;
        }
    }
}

#[test]
fn only_three_descriptors_reach_the_program_even_when_the_shim_got_more() {
    use rustix::fs::{Mode, OFlags};
    // Left open across exec on purpose, as by a careless parent.
    let _leak = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mut container = Bench::sh("ls /proc/self/fd; sleep 100").run();
    let (_, fds, _) = container.exec(&["ls", "/proc/self/fd"]);
    assert_eq!(fds, "0\n1\n2\n3\n", "the fourth is ls reading the directory");
    driver::eventually("output", || container.bench.output("stdout").lines().count() >= 4);
    assert_eq!(container.bench.output("stdout"), "0\n1\n2\n3\n");
    container.kill();
}

#[test]
fn users_and_groups_come_from_the_image() {
    let rows: [(User, &str); 4] = [
        (User { user: "bob".into(), ..User::default() }, "uid=1000(bob) gid=100(users) groups=10(wheel),100(users)"),
        (User { user: "1000".into(), group: "5".into(), ..User::default() }, "uid=1000(bob) gid=5 groups=5,10(wheel)"),
        (
            User { user: "77".into(), supplemental_gids: vec![9, 8], ..User::default() },
            "uid=77 gid=0(root) groups=0(root),8,9",
        ),
        (
            User { user: "bob".into(), supplemental_gids: vec![9], strict_groups: true, ..User::default() },
            "uid=1000(bob) gid=100(users) groups=9,100(users)",
        ),
    ];
    for (user, expected) in rows {
        let mut bench = Bench::sh("id; echo $HOME; echo ok >/dev/stderr; touch /root/x 2>/dev/null || echo denied");
        bench.process().user = Some(user);
        let mut container = bench.run();
        let state = container.wait();
        let out = container.bench.output("stdout");
        assert_eq!(out.lines().next(), Some(expected));
        assert!(out.ends_with("denied\n"), "{out}");
        assert_eq!(container.bench.output("stderr"), "ok\n", "any user can open /dev/stderr");
        assert!(state.gids.contains(&state.gid) && state.uid != 0);
    }
}

#[test]
fn capability_sets_are_what_was_asked_for() {
    let status = |bench: Bench| output(bench);
    let script = "grep Cap /proc/self/status";
    let out = status(Bench::sh(script));
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
    ] {
        assert!(out.contains(line), "{out}");
    }
    // An ambient capability survives the exec of a user that is not root.
    let mut bench = Bench::sh(script);
    bench.process().user = Some(User { user: "bob".into(), ..User::default() });
    let net = 1 << 12 | 1 << 10;
    bench.process().capabilities =
        Some(Capabilities { bounding: net, effective: net, permitted: net, inheritable: net, ambient: 1 << 10 });
    let out = status(bench);
    for line in [
        "CapInh:\t0000000000001400",
        "CapPrm:\t0000000000000400",
        "CapEff:\t0000000000000400",
        "CapAmb:\t0000000000000400",
    ] {
        assert!(out.contains(line), "{out}");
    }
    // A request for all capabilities is reduced to the existing ones, not refused.
    let mut bench = Bench::sh(script);
    all_capabilities(&mut bench);
    let held = fs::read_to_string("/proc/self/status").unwrap();
    let held = held.lines().find(|l| l.starts_with("CapPrm")).unwrap().to_owned();
    assert!(status(bench).contains(&held));
    // No capabilities.
    let mut bench = Bench::sh(script);
    bench.process().capabilities = Some(Capabilities::default());
    assert!(status(bench).contains("CapBnd:\t0000000000000000"));
}

#[test]
fn set_user_id_programs_work_unless_no_new_privs() {
    // The container's root is not nosuid: sudo and ping work in it, within the container's capabilities.
    for (no_new_privs, effective) in [(false, "1000\t0\t0\t0"), (true, "1000\t1000\t1000\t1000")] {
        let mut bench = Bench::new(&["/suid/cat", "/proc/self/status"]);
        let dir = bench.path("layer/suid");
        fs::create_dir(&dir).unwrap();
        // Busybox drops set-user-id rights for most applets; the system's cat does not.
        for library in libraries_of("/bin/cat") {
            let copy = bench.path("layer").join(library.strip_prefix("/").unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(&library, copy).unwrap();
        }
        fs::copy("/bin/cat", dir.join("cat")).unwrap();
        fs::set_permissions(dir.join("cat"), PermissionsExt::from_mode(0o4755)).unwrap();
        bench.process().user = Some(User { user: "bob".into(), ..User::default() });
        bench.process().no_new_privs = no_new_privs;
        let out = output(bench);
        assert!(out.contains(&format!("Uid:\t{effective}")), "{out}");
    }
}

fn libraries_of(program: &str) -> Vec<std::path::PathBuf> {
    let out = std::process::Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8(out.stdout).expect("utf-8");
    text.split_whitespace().filter(|word| word.starts_with('/')).map(Into::into).collect()
}

#[test]
fn a_seccomp_filter_is_in_force_with_and_without_no_new_privs() {
    // mkdir (83) fails with EPERM, everything else is allowed.
    let filter: Vec<u8> = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, 83),
        instruction(0x06, 0, 0, 0x0005_0000 | libc::EPERM as u32),
        instruction(0x06, 0, 0, 0x7fff_0000),
    ]
    .concat();
    for no_new_privs in [false, true] {
        let mut bench = Bench::sh("mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status");
        bench.process().seccomp_filter = filter.clone();
        bench.process().no_new_privs = no_new_privs;
        assert_eq!(output(bench), "mkdir: can't create directory '/tmp/x': Operation not permitted\nSeccomp:\t2\n");
    }
    let mut bench = Bench::sh("true");
    bench.process().seccomp_filter = vec![0xff; 16];
    let (failure, bench) = bench.try_run().err().expect("the kernel refuses the filter");
    assert_eq!((failure.kind(), failure.step.as_str()), (Kind::InvalidArgument, "load seccomp"));
    bench.assert_clean();
}

#[test]
fn keys_of_the_node_are_not_seen_in_a_container_nor_in_a_command_there() {
    // This thread's keyring is also that of the shim that it starts.
    let name = unique("keys");
    gorae_shim::sys::join_session_keyring(Some(&std::ffi::CString::new(name.as_str()).unwrap())).unwrap();
    assert!(fs::read_to_string("/proc/keys").unwrap().contains(&name));
    let mut bench = Bench::sh("cat /proc/keys; echo all; sleep 100");
    bench.start.masked_paths.clear();
    // A user other than root sees only the keys that it holds.
    bench.process().user = Some(User { user: "bob".into(), ..User::default() });
    let mut container = bench.run();
    driver::eventually("output", || container.bench.output("stdout").ends_with("all\n"));
    let (_, of_command, _) = container.exec(&["cat", "/proc/keys"]);
    let of_init = container.bench.output("stdout");
    for keys in [&of_init, &of_command] {
        assert!(keys.contains(" _ses: ") && !keys.contains(&name), "{keys}");
    }
    container.kill();
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Vec<u8> {
    [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat()
}

#[test]
fn resource_limits_are_set_and_cut_to_what_is_allowed() {
    let mut bench = Bench::sh("grep -E 'open files|core' /proc/self/limits");
    let limit = |resource, soft, hard| Rlimit { resource, soft, hard };
    bench.process().rlimits = vec![limit(7, 1024, 4096), limit(4, 0, 0)];
    let out = output(bench);
    assert!(out.contains("Max core file size        0                    0"), "{out}");
    assert!(out.contains("Max open files            1024                 4096"), "{out}");
    let mut bench = Bench::sh("true");
    bench.process().rlimits = vec![limit(7, u64::MAX >> 2, u64::MAX >> 2)];
    output(bench);
}

#[test]
fn a_terminal_is_the_containers_console() {
    let mut bench = Bench::sh("tty; ls -l /dev/console | cut -c1; test -t 0 && test -t 1 && echo tty; stty size");
    bench.process().tty = true;
    let out = output(bench);
    assert!(out.starts_with("/dev/pts/0\r\n") || out.starts_with("/dev/console\r\n") || out.contains("tty"), "{out}");
}

#[test]
fn an_image_volume_shows_its_sub_path_only_and_read_only() {
    let mut bench = Bench::sh("cat /vol/file; (touch /vol/x) 2>&1; ls /vol; cat /one/deep/file");
    let (top, bottom) = (bench.path("vol-top"), bench.path("vol-bottom"));
    fs::create_dir_all(top.join("deep")).unwrap();
    fs::create_dir_all(bottom.join("deep")).unwrap();
    fs::write(top.join("deep/file"), "from the image\n").unwrap();
    fs::write(bottom.join("deep/other"), "").unwrap();
    symlink("/deep", top.join("link")).unwrap();
    let layers = vec![top.display().to_string(), bottom.display().to_string()];
    let volume = |destination: &str, path: &str, layers: &[String]| Mount {
        destination: destination.into(),
        filesystem: "image".into(),
        source_layer_path: path.into(),
        image_layers: layers.to_vec(),
        ..Mount::default()
    };
    bench.start.mounts.push(volume("/vol", "link", &layers));
    bench.start.mounts.push(volume("/one", "", &layers[..1]));
    let out = output(bench);
    assert_eq!(out, "from the image\ntouch: /vol/x: Read-only file system\nfile\nother\nfrom the image\n");
}

#[test]
fn the_cgroup_mount_shows_only_the_containers_own() {
    let out = output(Bench::sh(
        "ls /sys/fs/cgroup; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; \
        (touch /sys/fs/cgroup/x) 2>&1; true",
    ));
    assert!(out.contains("Read-only file system"), "{out}");
    assert!(out.contains("memory"), "{out}");
}

fn all_capabilities(bench: &mut Bench) {
    let all = u64::MAX;
    bench.process().capabilities =
        Some(Capabilities { bounding: all, effective: all, permitted: all, inheritable: 0, ambient: 0 });
    bench.start.masked_paths.clear();
    bench.start.readonly_paths.clear();
}

/// A null device of the test's own, mounted over that of the machine.
struct OwnNull {
    over: HostMount,
    _tmpfs: HostMount,
    _dir: tempfile::TempDir,
}

impl OwnNull {
    fn new() -> Self {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        let dir = tempfile::tempdir().expect("temp dir");
        let tmpfs = HostMount::tmpfs(&dir.path().join("dev"));
        let node = tmpfs.0.join("null");
        mknodat(CWD, &node, FileType::CharacterDevice, Mode::empty(), makedev(1, 3)).expect("make node");
        fs::set_permissions(&node, PermissionsExt::from_mode(0o666)).expect("chmod");
        rustix::mount::mount_bind(&node, "/dev/null").expect("bind");
        Self { over: HostMount("/dev/null".into()), _tmpfs: tmpfs, _dir: dir }
    }

    fn mode_and_owner(&self) -> (u32, u32, u32) {
        let meta = fs::metadata(&self.over.0).expect("there");
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    }
}

/// A mount on the host, removed at the end of the test.
struct HostMount(std::path::PathBuf);

impl HostMount {
    fn tmpfs(at: &Path) -> Self {
        use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
        fs::create_dir_all(at).expect("mount");
        mount(unique("tmpfs").as_str(), at, "tmpfs", MountFlags::empty(), None).expect("mount");
        mount_change(at, MountPropagationFlags::PRIVATE).expect("mount");
        Self(at.to_path_buf())
    }

    fn shared(at: &Path) -> Self {
        use rustix::mount::{MountPropagationFlags, mount_change};
        let mount = Self::tmpfs(at);
        mount_change(at, MountPropagationFlags::SHARED).expect("mount");
        mount
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}
