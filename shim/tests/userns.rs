// SPDX-License-Identifier: Apache-2.0
//! Tests containers of a pod with a user namespace: root inside, unprivileged outside.

mod driver;

use driver::{Bench, Pod};
use gorae_proto::shim::{IdMap, Mount, Namespace, User, UserMapping, namespace};
use std::fs;
use std::os::unix::fs::MetadataExt;

const HOST_ID: u32 = 1_000_000;

fn mapping() -> UserMapping {
    let map = vec![IdMap { container_id: 0, host_id: HOST_ID, length: 65_536 }];
    UserMapping { uids: map.clone(), gids: map }
}

fn pod(own_pid: bool) -> Pod {
    Pod::new(|setup| {
        setup.user = Some(mapping());
        setup.own_pid = own_pid;
    })
}

fn adopt(pod: &Pod, bench: &mut Bench) {
    bench.start.namespaces.push(Namespace { kind: namespace::Kind::User.into(), ..Namespace::default() });
    bench.start.user_mapping = Some(mapping());
    pod.adopt(bench);
    // The layer plays the part of an unpacked image: world-readable, owned by the host's root.
    for dir in [bench.dir.path().to_path_buf(), bench.path("root"), bench.path("layer")] {
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the directory is ours");
    }
}

#[test]
fn root_inside_is_nobody_outside_and_owns_its_files() {
    let pod = pod(false);
    let mut bench = Bench::sh(
        "id -u; stat -c %u /bin/busybox /etc/passwd / /dev /dev/shm /dev/null; touch /made; echo x >>/etc/passwd; \
         echo ok >/dev/null; cat /proc/self/uid_map; ls /sys/class >/dev/null && echo sys; cat /proc/1/comm; sleep 100",
    );
    adopt(&pod, &mut bench);
    let mut container = bench.run();
    let uid = fs::metadata(format!("/proc/{}", container.state.pid)).unwrap().uid();
    driver::eventually("started", || container.bench.output("stdout").contains("sh\n"));
    let out = container.bench.output("stdout");
    assert!(out.starts_with("0\n0\n0\n0\n0\n0\n0\n"), "{out}\n{}", container.bench.output("stderr"));
    assert!(out.contains("1000000") && out.contains("sys\n"), "{out}");
    assert_eq!(container.bench.output("stderr"), "");
    assert_eq!(uid, HOST_ID);
    let upper = container.bench.path("root/upper");
    assert_eq!(fs::metadata(upper.join("made")).unwrap().uid(), HOST_ID);
    assert_eq!(fs::metadata(upper.join("etc/passwd")).unwrap().uid(), HOST_ID);
    assert_eq!(fs::metadata(container.bench.path("layer/etc/passwd")).unwrap().uid(), 0);
    let (exited, ids, err) = container.exec(&["sh", "-c", "id -u; cat /proc/self/uid_map; touch /by-exec"]);
    assert_eq!(exited.exit_code, 0, "{err}");
    assert!(ids.starts_with("0\n") && ids.contains("1000000"), "{ids}");
    container.kill();
}

#[test]
fn a_user_inside_is_its_mapped_id_outside() {
    let pod = pod(false);
    let mut bench = Bench::sh("id; sleep 100");
    bench.process().user = Some(User { user: "bob".into(), ..User::default() });
    adopt(&pod, &mut bench);
    let mut container = bench.run();
    driver::eventually("output", || !container.bench.output("stdout").is_empty());
    assert_eq!(container.bench.output("stdout"), "uid=1000(bob) gid=100(users) groups=10(wheel),100(users)\n");
    let uid = fs::metadata(format!("/proc/{}", container.state.pid)).unwrap().uid();
    assert_eq!(uid, HOST_ID + 1000);
    container.kill();
}

#[test]
fn an_id_mapped_bind_shows_the_volumes_owners() {
    let pod = pod(false);
    let mut bench = Bench::sh("stat -c %u /data /plain; touch /data/x");
    let (data, plain) = (bench.path("data"), bench.path("plain"));
    fs::create_dir(&data).unwrap();
    fs::create_dir(&plain).unwrap();
    let mapping = mapping();
    let mount = bench.bind(&data, "/data");
    (mount.uid_mappings, mount.gid_mappings) = (mapping.uids, mapping.gids);
    bench.bind(&plain, "/plain");
    adopt(&pod, &mut bench);
    let mut container = bench.run();
    assert_eq!(container.wait().exit_code, 0, "{}", container.bench.log());
    assert_eq!(container.bench.output("stdout"), "0\n65534\n");
    assert_eq!(fs::metadata(data.join("x")).unwrap().uid(), 0);
}

/// The layers of an image are in a directory that only the host's root can enter.
#[test]
fn a_part_of_an_image_is_shown_in_a_user_namespace() {
    let pod = pod(false);
    let mut bench = Bench::sh("cat /image/file; ls /image; touch /image/x 2>&1");
    let images = bench.path("images");
    fs::create_dir_all(images.join("layer/part")).unwrap();
    fs::write(images.join("layer/part/file"), "content\n").unwrap();
    fs::set_permissions(&images, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    bench.start.mounts.push(Mount {
        destination: "/image".into(),
        filesystem: "image".into(),
        image_layers: vec![images.join("layer").display().to_string()],
        source_layer_path: "part".into(),
        ..Mount::default()
    });
    adopt(&pod, &mut bench);
    fs::set_permissions(bench.path("run"), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let mut container = bench.run();
    container.wait();
    assert_eq!(container.bench.output("stdout"), "content\nfile\ntouch: /image/x: Read-only file system\n");
}

#[test]
fn a_process_whose_number_another_one_has_is_no_target() {
    let mut target = Bench::new(&["/bin/sleep", "100"]).run();
    for (later, refused) in [(0, false), (1, true)] {
        let mut bench = Bench::sh("cat /proc/1/comm");
        let is_pid = |n: &&mut Namespace| n.kind() == namespace::Kind::Pid;
        let namespace = bench.start.namespaces.iter_mut().find(is_pid).unwrap();
        namespace.path = format!("/proc/{}/ns/pid", target.state.pid);
        namespace.start_ticks = target.state.pid_start_ticks + later;
        match bench.try_run() {
            Ok(mut container) => {
                container.wait();
                assert_eq!((refused, container.bench.output("stdout").as_str()), (false, "sleep\n"));
            }
            Err((failure, bench)) => {
                assert!(refused && failure.message.contains("its pid was reused"), "{failure:?}");
                bench.assert_clean();
            }
        }
    }
    target.kill();
}

#[test]
fn a_bind_can_have_maps_of_its_own_without_any_user_namespace() {
    let mut bench = Bench::sh("stat -c %u /data");
    let data = bench.path("data");
    fs::create_dir(&data).unwrap();
    let map = vec![IdMap { container_id: 0, host_id: 4321, length: 10 }];
    let mount = bench.bind(&data, "/data");
    (mount.uid_mappings, mount.gid_mappings) = (map.clone(), map);
    let mut container = bench.run();
    container.wait();
    assert_eq!(container.bench.output("stdout"), "4321\n");
}

#[test]
fn containers_of_a_pod_share_its_pid_namespace_and_end_without_it() {
    for user in [false, true] {
        let pod = if user { pod(true) } else { Pod::new(|setup| setup.own_pid = true) };
        let mut first = Bench::new(&["/bin/sh", "-c", "sleep 4711 & sleep 4711"]);
        let mut second = Bench::new(&["/bin/sh", "-c", "echo pid $$; ps"]);
        for bench in [&mut first, &mut second] {
            if user { adopt(&pod, bench) } else { pod.adopt(bench) }
        }
        let mut first = first.run();
        let mut second = second.run();
        assert_eq!(second.wait().exit_code, 0);
        let out = second.bench.output("stdout");
        assert!(!out.contains("pid 1\n") && out.contains("sleep 4711"), "{out}");
        let (exited, ps, _) = first.exec(&["ps"]);
        assert_eq!((exited.exit_code, ps.matches("4711").count() >= 2), (0, true), "{ps}");
        // Only the first process is killed: the rest of the container follows, through its cgroup.
        first.done(gorae_proto::shim::request::Verb::Signal(gorae_proto::shim::Signal { exec: 0, number: 9 }));
        assert_eq!(first.wait().exit_code, 137);
    }
}
