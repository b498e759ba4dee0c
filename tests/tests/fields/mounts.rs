// SPDX-License-Identifier: Apache-2.0
//! Mounts and devices of containers.

use gorae_proto::cri::*;
use gorae_tests::cri::spec;
use gorae_tests::{BUSYBOX, Pod, TINY, on_a_node};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn bind(host: &Path, container: &str) -> Mount {
    Mount { host_path: host.display().to_string(), container_path: container.to_owned(), ..Default::default() }
}

/// The sentence with which a container of this mount is refused.
async fn refused(pod: &Pod, mount: Mount) -> String {
    let made = pod.container("refused").image(TINY).with(|c| c.mounts.push(mount)).try_create().await;
    made.map(|c| c.id().to_owned()).expect_err("refused").message().to_owned()
}

#[test]
fn options_of_a_mount_are_in_force_and_others_are_refused() {
    on_a_node(async |node| {
        let host = node.directory("options");
        std::fs::copy("/bin/true", host.join("true")).unwrap();
        let pod = node.pod("options").run().await;
        let with = |options: &[&str]| Mount {
            mount_options: options.iter().map(|o| (*o).to_owned()).collect(),
            ..bind(&host, "/data")
        };
        let mount = with(&["noexec", "nosuid", "nodev"]);
        let container = pod.container("c").script("sleep 1000").with(|c| c.mounts.push(mount.clone())).start().await;
        let line = container.sh("grep ' /data ' /proc/mounts").await.stdout;
        assert!(["noexec", "nosuid", "nodev"].iter().all(|o| line.contains(o)), "{line}");
        let run = container.sh("/data/true").await;
        assert!(run.code != 0 && run.stderr.contains("Permission denied"), "{run:?}");
        assert_eq!(container.status().await.mounts, [mount]);
        let said = refused(&pod, with(&["suid"])).await;
        assert!(said.contains("suid") && said.contains("/data"), "{said}");
    });
}

#[test]
fn a_host_path_that_is_missing_is_made_as_a_directory() {
    on_a_node(async |node| {
        let host = node.directory("minimal").join("lib/modules");
        let pod = node.pod("missing").run().await;
        let container = pod.container("c").script("sleep 1000").mount(&host, "/lib/modules").create().await;
        let mode = || std::fs::metadata(&host).map(|meta| meta.permissions().mode() & 0o7777);
        assert_eq!(mode().unwrap(), 0o755, "at create");
        std::fs::remove_dir(&host).unwrap();
        container.start().await;
        assert_eq!(mode().unwrap(), 0o755, "at start");
        assert_eq!(container.sh("touch /lib/modules/seen").await.code, 0);
        assert!(host.join("seen").exists());
    });
}

#[test]
fn a_directory_and_a_file_do_not_go_on_one_another_and_the_error_says_which_is_which() {
    on_a_node(async |node| {
        let host = node.directory("kinds");
        std::fs::write(host.join("file"), "x").unwrap();
        let pod = node.pod("kinds").run().await;
        let words = async |name: &str, mount: Mount| {
            let container = pod.container(name).script("true").with(|c| c.mounts.push(mount)).create().await;
            container.try_start().await.expect_err("it cannot be mounted").message().to_owned()
        };
        let said = words("on-file", bind(&host, "/etc/passwd")).await;
        let source = host.display();
        assert!(said.contains(&format!("mount /etc/passwd: {source} is a directory")), "{said}");
        assert!(said.contains("has a file there"), "{said}");
        let said = words("on-directory", bind(&host.join("file"), "/etc")).await;
        assert!(said.contains(&format!("mount /etc: {source}/file is not a directory")), "{said}");
        assert!(said.contains("has a directory there"), "{said}");
    });
}

#[test]
fn recursive_read_only_reaches_what_is_mounted_below() {
    on_a_node(async |node| {
        let host = node.directory("tree");
        std::fs::create_dir(host.join("below")).unwrap();
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("gorae-test"), &host.join("below"), Some("tmpfs"), flags, None::<&str>).unwrap();
        let pod = node.pod("rro").run().await;
        let with = |readonly, recursive_read_only| Mount { readonly, recursive_read_only, ..bind(&host, "/data") };
        for (name, mount, writable) in [("plain", with(true, false), true), ("recursive", with(true, true), false)] {
            let container =
                pod.container(name).script("sleep 1000").with(|c| c.mounts.push(mount.clone())).start().await;
            assert_ne!(container.sh("touch /data/x").await.code, 0, "{name}");
            assert_eq!(container.sh("touch /data/below/x").await.code == 0, writable, "{name}");
            assert_eq!(container.status().await.mounts, [mount], "{name}");
            container.remove().await;
        }
        assert!(refused(&pod, with(false, true)).await.contains("RROUnsupported"));
        nix::mount::umount(&host.join("below")).unwrap();
    });
}

#[test]
fn a_mount_of_the_host_propagates_as_asked() {
    on_a_node(async |node| {
        let host = node.directory("shared");
        let none = None::<&str>;
        nix::mount::mount(Some(&host), &host, none, nix::mount::MsFlags::MS_BIND, none).unwrap();
        nix::mount::mount(none, &host, none, nix::mount::MsFlags::MS_SHARED, none).unwrap();
        std::fs::create_dir(host.join("later")).unwrap();
        let pod = node.pod("propagation").run().await;
        let with = |propagation: MountPropagation| Mount { propagation: propagation.into(), ..bind(&host, "/data") };
        let start = async |name: &str, mount: Mount| {
            pod.container(name).script("sleep 1000").with(|c| c.mounts.push(mount)).start().await
        };
        let private = start("private", with(MountPropagation::PropagationPrivate)).await;
        let slave = start("slave", with(MountPropagation::PropagationHostToContainer)).await;
        let both = start("both", with(MountPropagation::PropagationBidirectional)).await;
        let later = host.join("later");
        let empty = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("gorae-test"), &later, Some("tmpfs"), empty, none).unwrap();
        std::fs::write(later.join("seen"), "x").unwrap();
        assert_ne!(private.exec(["test", "-e", "/data/later/seen"]).await.code, 0);
        assert_eq!(slave.exec(["test", "-e", "/data/later/seen"]).await.code, 0);
        assert_eq!(both.exec(["test", "-e", "/data/later/seen"]).await.code, 0);
        for container in [private, slave, both] {
            container.remove().await;
        }
        nix::mount::umount(&later).unwrap();
        nix::mount::umount(&host).unwrap();
        let own = node.directory("own");
        nix::mount::mount(Some(&own), &own, none, nix::mount::MsFlags::MS_BIND, none).unwrap();
        nix::mount::mount(none, &own, none, nix::mount::MsFlags::MS_PRIVATE, none).unwrap();
        let two_ways = Mount { propagation: MountPropagation::PropagationBidirectional.into(), ..bind(&own, "/data") };
        let container = pod.container("wrong").image(TINY).with(|c| c.mounts.push(two_ways)).create().await;
        let error = container.try_start().await.unwrap_err();
        assert!(error.message().contains("not on a shared mount"), "{error:?}");
        nix::mount::umount(&own).unwrap();
        let odd = Mount { propagation: 9, ..bind(&host, "/data") };
        assert!(refused(&pod, odd).await.contains("propagation"));
    });
}

#[test]
fn ids_of_a_mount_are_mapped_as_asked() {
    on_a_node(async |node| {
        let host = node.directory("mapped");
        std::fs::write(host.join("file"), "x").unwrap();
        std::os::unix::fs::chown(host.join("file"), Some(5), Some(6)).unwrap();
        let map = |host_id| vec![IdMapping { host_id, container_id: 0, length: 100 }];
        let mount = Mount { uid_mappings: map(4000), gid_mappings: map(7000), ..bind(&host, "/data") };
        let pod = node.pod("mapped").run().await;
        let container = pod.container("c").script("sleep 1000").with(|c| c.mounts.push(mount.clone())).start().await;
        assert_eq!(container.exec(["stat", "-c", "%u:%g", "/data/file"]).await.stdout, "4005:7006\n");
        assert_eq!(container.status().await.mounts, [mount]);
        let empty = vec![IdMapping { host_id: 1, container_id: 0, length: 0 }];
        let wrong = Mount { uid_mappings: empty.clone(), gid_mappings: empty, ..bind(&host, "/data") };
        assert!(refused(&pod, wrong).await.contains("uidMappings"));
    });
}

#[test]
fn an_image_is_mounted_read_only_and_a_part_of_it_alone() {
    on_a_node(async |node| {
        let id = node.cri().pull(BUSYBOX).await.unwrap();
        let image = |sub: &str, readonly| Mount {
            container_path: "/image".into(),
            image: Some(spec(BUSYBOX)),
            image_sub_path: sub.into(),
            readonly,
            ..Default::default()
        };
        let pod = node.pod("image").run().await;
        let whole = pod.container("whole").script("sleep 1000").with(|c| c.mounts.push(image("", true))).start().await;
        let ran = whole.sh("/image/bin/sh -c 'echo runs'; touch /image/new").await;
        assert!(ran.stdout == "runs\n" && ran.stderr.contains("Read-only"), "{ran:?}");
        let told = whole.status().await.mounts.remove(0).image.expect("echoed");
        assert_eq!((told.image.as_str(), told.image_ref), (BUSYBOX, id));
        let part = pod.container("part").script("sleep 1000").with(|c| c.mounts.push(image("etc", true))).start().await;
        assert!(part.exec(["cat", "/image/passwd"]).await.stdout.starts_with("root:"));
        let said = refused(&pod, image("", false)).await;
        assert!(said.starts_with("ImageVolumeMountFailed: ") && said.contains("readonly"), "{said}");
        assert!(refused(&pod, image("../etc", true)).await.contains("image_sub_path"));
        let absent = Mount { image: Some(spec("images.gorae.test/gorae/absent:1")), ..image("", true) };
        let said = refused(&pod, absent).await;
        assert!(said.starts_with("ImageVolumeMountFailed: ") && said.contains("gorae/absent:1"), "{said}");
        let mut both = image("", true);
        both.host_path = "/etc".into();
        assert!(refused(&pod, both).await.contains("both set"));
    });
}

#[test]
fn a_sub_path_that_the_image_does_not_have_is_told_before_the_container_exists() {
    on_a_node(async |node| {
        let pod = node.pod("image").run().await;
        let part = |sub: &str| Mount {
            container_path: "/image".into(),
            image: Some(spec(BUSYBOX)),
            image_sub_path: sub.into(),
            readonly: true,
            ..Default::default()
        };
        node.cri().pull(BUSYBOX).await.unwrap();
        for sub in ["no/such", "etc/passwd/below", "../etc", "etc/../../etc", "etc/no"] {
            let said = refused(&pod, part(sub)).await;
            assert!(said.starts_with("ImageVolumeMountFailed: ") && said.contains(sub), "{sub}: {said}");
            assert!(said.contains("/image"), "{sub}: {said}");
        }
        assert!(node.cri().list_containers(None).await.unwrap().is_empty(), "nothing is left of any");
    });
}

#[test]
fn a_file_of_an_image_is_mounted_alone() {
    on_a_node(async |node| {
        let pod = node.pod("image").run().await;
        node.cri().pull(BUSYBOX).await.unwrap();
        let part = |place: &str, sub: &str| Mount {
            container_path: place.into(),
            image: Some(spec(BUSYBOX)),
            image_sub_path: sub.into(),
            readonly: true,
            ..Default::default()
        };
        let mounts = [part("/users", "etc/passwd"), part("/etc/group", "/etc/passwd"), part("/programs", "bin/")];
        let container = pod.container("c").script("sleep 1000").with(|c| c.mounts.extend(mounts)).start().await;
        let told = container.sh("cmp /users /etc/passwd && cmp /etc/group /etc/passwd && echo same").await;
        assert_eq!(told.stdout, "same\n", "{told:?}");
        assert!(container.sh("echo x >>/users").await.stderr.contains("Read-only"));
        assert_eq!(container.exec(["/programs/sh", "-c", "echo runs"]).await.stdout, "runs\n");
    });
}

#[test]
fn a_relabelled_mount_is_told_as_asked() {
    on_a_node(async |node| {
        let host = node.directory("labels");
        let mount = Mount { selinux_relabel: true, readonly: true, ..bind(&host, "/data") };
        let pod = node.pod("labels").run().await;
        let container = pod.container("c").image(TINY).with(|c| c.mounts.push(mount.clone())).start().await;
        assert_eq!(container.status().await.mounts, [mount]);
    });
}

#[test]
fn a_device_of_the_host_has_the_asked_place_and_permissions() {
    on_a_node(async |node| {
        let pod = node.pod("devices").run().await;
        let device = |host: &str, permissions: &str| Device {
            container_path: "/dev/sub/own".into(),
            host_path: host.into(),
            permissions: permissions.into(),
        };
        let container =
            pod.container("c").script("sleep 1000").with(|c| c.devices.push(device("/dev/null", "rw"))).start().await;
        assert_eq!(container.sh("stat -c '%F %t:%T' /dev/sub/own").await.stdout, "character special file 1:3\n");
        assert_eq!(container.sh("echo x > /dev/sub/own").await.code, 0);
        // The kernel's log is none of the usual devices: the permissions alone decide.
        for (name, permissions, opens) in [("read", "r", true), ("make", "m", false)] {
            let asked = device("/dev/kmsg", permissions);
            let container = pod
                .container(name)
                .script("sleep 1000")
                .security(|s| {
                    let add_capabilities = vec!["SYSLOG".to_owned()];
                    s.capabilities = Some(Capability { add_capabilities, ..Default::default() });
                })
                .with(|c| c.devices.push(asked))
                .start()
                .await;
            let opened = container.sh("exec 3< /dev/sub/own").await;
            assert_eq!(opened.code == 0, opens, "{name}: {opened:?}");
        }
        for (wrong, said) in [
            (device("/dev/null", "rx"), "rx"),
            (device("/etc/passwd", "rw"), "not a device"),
            (device("/no/such/device", "rw"), "/no/such/device"),
        ] {
            let made = pod.container("wrong").image(TINY).with(|c| c.devices.push(wrong)).try_create().await;
            let error = made.map(|c| c.id().to_owned()).unwrap_err();
            assert!(error.message().contains(said), "{error:?}");
        }
    });
}

#[test]
fn containers_with_equal_device_policies_share_one_program_and_are_held_to_it() {
    on_a_node(async |node| {
        let programs = || {
            let open = std::fs::read_dir(format!("/proc/{}/fd", node.daemon().pid().unwrap())).unwrap();
            let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
            open.filter(|file| file.to_string_lossy().contains("bpf-prog")).count()
        };
        let pod = node.pod("policies").run().await;
        // One of the first and one of a later container, and the same with a daemon that knows nothing of them.
        for round in ["a", "b"] {
            for (number, device, known) in [(1, false, 1), (2, false, 1), (3, true, 2), (4, true, 2), (5, false, 2)] {
                let asked = Device {
                    container_path: "/dev/log-of-kernel".into(),
                    host_path: "/dev/kmsg".into(),
                    permissions: "wm".into(),
                };
                let container = pod
                    .container(&format!("{round}{number}"))
                    .script("sleep 1000")
                    .with(|c| c.devices.extend(device.then_some(asked)))
                    .start()
                    .await;
                assert_eq!(programs(), known, "programs that the daemon keeps after {round}{number}");
                let made = container.sh("mknod /tmp/kmsg c 1 11 && exec 3> /tmp/kmsg").await;
                assert_eq!(made.code == 0, device, "{round}{number}: {made:?}");
                assert_ne!(container.sh("exec 3< /tmp/kmsg").await.code, 0, "{round}{number} reads the kernel's log");
            }
            node.kill_and_restart().await;
            assert_eq!(programs(), 0);
        }
    });
}

#[test]
fn a_device_that_is_asked_for_takes_the_place_of_a_usual_one() {
    on_a_node(async |node| {
        let pod = node.pod("usual").run().await;
        let asked = |host: &str, inside: &str| Device {
            host_path: host.into(),
            container_path: inside.into(),
            permissions: "rw".into(),
        };
        let usual = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "stdin"];
        let devices = usual.map(|name| asked("/dev/fuse", &format!("/dev/{name}")));
        let container = pod.container("c").script("sleep 1000").with(|c| c.devices.extend(devices)).start().await;
        for name in usual {
            let found = container.exec(["stat", "-c", "%F %t:%T", &format!("/dev/{name}")]).await.stdout;
            assert_eq!(found, "character special file a:e5\n", "{name}");
        }
        for inside in ["/dev/pts/9", "/dev/shm/x", "/dev/mqueue", "/dev/pts"] {
            let made = pod.container("hidden").image(TINY).with(|c| c.devices.push(asked("/dev/null", inside)));
            let error = made.try_create().await.map(|c| c.id().to_owned()).expect_err(inside);
            assert!(error.message().contains(inside) && error.message().contains("separate mount"), "{error:?}");
        }
    });
}
