// SPDX-License-Identifier: Apache-2.0
//! The volumes that an image declares: what is in them, which users may write there, how long they last, and which places an
//! image can name for one.

use gorae_proto::cri::{IdMapping, NamespaceMode, PodSandboxConfig, UserNamespace};
use gorae_tests::images::conformance::userland;
use gorae_tests::images::debian::Debian;
use gorae_tests::images::layer::{Layer, Packing, Writer};
use gorae_tests::images::push::{Form, Image};
use gorae_tests::{Container, ContainerBuilder, Node, Pod, place, testing};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tar::EntryType;
use tonic::Code;

/// A node whose registry is empty: every image here is made by its test.
fn on_a_node(body: impl AsyncFnOnce(&Node)) {
    testing::on_a_node_with_an_empty_registry(body);
}

/// A container of an image with a shell, the files of `layer`, and these volumes.
async fn with_volumes(node: &Node, pod: &Pod, name: &str, layer: Layer, volumes: &[&str]) -> ContainerBuilder {
    // Packed once for all tests of a run.
    static BASE: OnceLock<Layer> = OnceLock::new();
    let base = BASE
        .get_or_init(|| userland(&Debian::unpack(&place::packages()).expect("unpacked")).expect("an image"))
        .clone();
    let volumes: serde_json::Map<_, _> = volumes.iter().map(|path| ((*path).to_owned(), json!({}))).collect();
    let config = json!({"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"], "Volumes": volumes});
    let image = Image {
        repository: format!("gorae/{name}"),
        tags: vec!["1".into()],
        layers: vec![base, layer],
        config,
        form: Form::Oci,
    };
    node.registry().client().push(&image).expect("pushed");
    let full = format!("images.gorae.test/gorae/{name}:1");
    node.cri().pull(&full).await.expect("pulled");
    pod.container(name).image(&full).script("echo ready; sleep 1000")
}

/// A directory of user 1000 with a bit of everything in it.
fn database() -> Layer {
    let mut layer = Writer::default();
    layer.dir("/data", 0o2750, 1000).dir("/data/sub", 0o700, 1001).file("/data/sub/file", 0o640, b"content\n");
    layer.hard_link("/data/same", "/data/sub/file").symlink("/data/link", "sub/file").file("/data/run", 0o4755, b"");
    layer.node(EntryType::Fifo, "data/pipe", "", (0, 0));
    layer.finish(Packing::Gzip)
}

fn nothing() -> Layer {
    Writer::default().finish(Packing::Gzip)
}

/// Where the daemon keeps a container's volumes.
fn home(node: &Node, container: &Container) -> PathBuf {
    node.daemon().root().join("containers").join(container.id()).join("volumes")
}

fn privileged(pod: &mut PodSandboxConfig) {
    pod.linux.as_mut().expect("set").security_context.as_mut().expect("set").privileged = true;
}

#[test]
fn a_volume_has_what_the_image_has_there_and_can_be_written_when_the_root_can_not() {
    on_a_node(async |node| {
        let pod = node.pod("volumes").run().await;
        let builder = with_volumes(node, &pod, "database", database(), &["/data", "/srv/new"]).await;
        let container = builder.security(|s| s.readonly_rootfs = true).start().await;
        let told = container.sh("cd /data; stat -c '%n %a %u %F' . sub sub/file link run pipe /srv/new").await.stdout;
        let wanted = [
            ". 2750 1000 directory",
            "sub 700 1001 directory",
            "sub/file 640 0 regular file",
            "link 777 0 symbolic link",
            "run 4755 0 regular empty file",
            "pipe 755 0 fifo",
            "/srv/new 755 0 directory",
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
        assert_eq!(
            container.sh("cat /data/link; test /data/same -ef /data/sub/file && echo linked").await.stdout,
            "content\nlinked\n"
        );
        let written = container.sh("echo x >/data/new && echo y >/srv/new/file && echo z >/root/no").await;
        assert!(written.code != 0 && written.stderr.contains("/root/no: Read-only"), "{written:?}");
        // Another container of the image has its own.
        let other =
            pod.container("other").image("images.gorae.test/gorae/database:1").script("ls -a /data; sleep 1000");
        let other = other.start().await;
        other.has_printed(|line| line == "sub").await;
        assert!(!other.stdout().contains(&"new".to_owned()), "{:?}", other.stdout());
        let home = home(node, &container);
        assert_eq!(std::fs::metadata(&home).unwrap().permissions().mode() & 0o7777, 0o700, "its owner's alone");
        container.remove().await;
        assert!(!home.exists());
    });
}

#[test]
fn what_was_written_stays_while_the_daemon_dies_and_for_who_goes_on_with_the_files() {
    on_a_node(async |node| {
        let pod = node.pod("volumes").run().await;
        let builder = with_volumes(node, &pod, "kept", database(), &["/data"]).await;
        let first = builder.clone().start().await;
        assert_eq!(first.sh("rm -r /data/sub; echo mine >/data/new").await.code, 0);
        node.kill_and_restart().await;
        assert_eq!(first.sh("cat /data/new; ls /data/sub").await.stdout, "mine\n");
        first.stop(0).await;
        let next = builder.script("cat /data/new; ls /data; sleep 1000").with(|c| {
            c.metadata.as_mut().expect("set").attempt = 1;
            c.annotations.insert("dev.gorae.continue".to_owned(), first.id().to_owned());
        });
        let next = next.start().await;
        next.has_printed(|line| line == "same").await;
        let told = next.stdout();
        assert!(told.contains(&"mine".to_owned()) && !told.contains(&"sub".to_owned()), "{told:?}");
        assert!(!home(node, &first).exists() && home(node, &next).exists(), "they have moved");
    });
}

#[test]
fn a_daemon_that_dies_before_a_start_finds_a_container_that_can_be_started() {
    on_a_node(async |node| {
        let pod = node.pod("volumes").run().await;
        let container = with_volumes(node, &pod, "later", database(), &["/data"]).await.create().await;
        assert!(!home(node, &container).exists(), "nothing is made before the start");
        // What a shim that was killed in the middle leaves.
        let half = home(node, &container).join("0.new/sub");
        std::fs::create_dir_all(&half).unwrap();
        node.kill_and_restart().await;
        container.start().await;
        assert_eq!(container.sh("cat /data/sub/file").await.stdout, "content\n");
        assert_eq!(std::fs::read_dir(home(node, &container)).unwrap().count(), 1);
    });
}

#[test]
fn an_overlay_can_be_mounted_in_a_volume() {
    on_a_node(async |node| {
        let pod = node.pod("nested").with(privileged).run().await;
        let builder = with_volumes(node, &pod, "nested", nothing(), &["/var/lib/docker"]).await;
        let container = builder.security(|s| s.privileged = true).start().await;
        let script = "cd /var/lib/docker && mkdir lower upper work merged && echo low >lower/file && \
            mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && \
            echo high >merged/other && cat merged/file upper/other && umount merged";
        let told = container.sh(script).await;
        assert_eq!((told.code, told.stdout.as_str()), (0, "low\nhigh\n"), "{told:?}");
    });
}

#[test]
fn the_owners_in_a_volume_are_the_images_in_a_user_namespace_too() {
    on_a_node(async |node| {
        // The namespace's root has to get to the container's directories.
        let home_of_all = node.daemon().root().parent().expect("below the test's directory").to_owned();
        std::fs::set_permissions(home_of_all, PermissionsExt::from_mode(0o711)).unwrap();
        let map = vec![IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
        let users = UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map };
        let pod = node.pod("users").with(|c| {
            let security = c.linux.as_mut().expect("set").security_context.as_mut().expect("set");
            security.namespace_options.get_or_insert_default().userns_options = Some(users);
        });
        let pod = pod.run().await;
        let options = pod.config().linux.clone().and_then(|l| l.security_context).and_then(|s| s.namespace_options);
        let builder = with_volumes(node, &pod, "users", database(), &["/data"]).await;
        let container = builder.security(|s| s.namespace_options = options).start().await;
        let told = container.sh("cd /data; stat -c '%n %a %u' . sub run && touch mine && stat -c %u mine").await;
        assert_eq!(told.stdout, ". 2750 1000\nsub 700 1001\nrun 4755 0\n0\n", "{told:?}");
        assert_eq!(std::fs::metadata(home(node, &container).join("0/mine")).unwrap().uid(), 0, "as the image has it");
    });
}

#[test]
fn a_mount_of_the_request_takes_the_place_of_a_volume_whatever_it_is_called() {
    on_a_node(async |node| {
        let pod = node.pod("volumes").run().await;
        let mut layer = Writer::default();
        layer.symlink("/alias", "data").dir("/data/deep", 0o755, 0).symlink("/z/y/same", "/data");
        let layer = layer.finish(Packing::Gzip);
        let volumes = ["/data", "/alias/deep", "/deep/er", "/z/y/same"];
        let builder = with_volumes(node, &pod, "covered", layer, &volumes).await;
        let (host, deep) = (node.directory("host"), node.directory("deep"));
        std::fs::write(host.join("seen"), "").unwrap();
        let builder = builder.mount(&host, "/data").mount(&deep, "/deep");
        let container = builder.start().await;
        assert_eq!(container.sh("test -e /z/y/same/seen && echo yes").await.stdout, "yes\n");
        assert_eq!(container.sh("test -e /data/seen && touch /data/back /deep/er/inside").await.code, 0);
        assert!(host.join("back").exists());
        assert!(deep.join("er").is_dir() && !deep.join("er/inside").exists(), "a volume in a mount is a mount");
        let made: Vec<_> =
            std::fs::read_dir(home(node, &container)).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(!made.contains(&"1".into()), "/data is the second by name, and is not made: {made:?}");
    });
}

#[test]
fn an_image_without_volumes_has_no_directory_for_them() {
    on_a_node(async |node| {
        let pod = node.pod("volumes").run().await;
        let container = with_volumes(node, &pod, "none", nothing(), &[]).await.start().await;
        assert!(!home(node, &container).exists());
    });
}

#[test]
fn places_that_an_image_names_in_odd_ways_are_inside_of_the_container() {
    on_a_node(async |node| {
        let pod = node.pod("odd").run().await;
        let layer = Writer::default()
            .symlink("/out", "../../../../../../gorae-volume-out")
            .symlink("/dangling", "/no/where")
            .symlink("/twice", "/a/b")
            .symlink("/everything", "/")
            .symlink("/kernel", "/proc/sys")
            .file("/a/b/c/file", 0o644, b"deep\n")
            .finish(Packing::Gzip);
        let volumes = [
            "relative",
            "/x/../up",
            "//slashes//./here/",
            "../../above",
            "/out",
            "/dangling",
            "/a",
            "/a/b",
            "/a/b/c",
            "/twice",
            "/everything",
            "/kernel",
            "/proc",
            "/sys",
            "/sys/fs/cgroup",
            "/dev",
            "/dev/shm",
            "/dev/own",
            "/etc",
            "/etc/hosts",
            "/a/",
        ];
        let builder = with_volumes(node, &pod, "odd", layer, &volumes).await;
        let container = builder.security(|s| s.readonly_rootfs = true).start().await;
        for place in
            ["/relative", "/up", "/slashes/here", "/above", "/gorae-volume-out", "/no/where", "/a", "/a/b", "/dev/own"]
        {
            let told = container.sh(&format!("touch {place}/new && grep -c ' {place} ' /proc/mounts")).await;
            assert_eq!(told.stdout, "1\n", "{place}: {told:?}");
        }
        assert_eq!(container.exec(["cat", "/a/b/c/file"]).await.stdout, "deep\n");
        assert!(
            container
                .sh("grep -q localhost /etc/hosts && test -c /dev/null && test -d /proc/1 && test -d /proc/sys/kernel")
                .await
                .code
                == 0
        );
        assert!(!std::path::Path::new("/gorae-volume-out").exists(), "it is on the host");
        // What has a volume of its own is not copied into another: all copies together are at most the image.
        let found =
            std::process::Command::new("find").arg(home(node, &container)).args(["-name", "file"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout).lines().count(), 1, "{found:?}");
    });
}

#[test]
fn places_that_no_volume_can_have_are_told() {
    on_a_node(async |node| {
        let pod = node.pod("bad").run().await;
        let layer = Writer::default().file("/file", 0o644, b"").symlink("/ring", "ring").finish(Packing::Gzip);
        let many: Vec<String> = (0..129).map(|n| format!("/v{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let long = format!("/{}", "x/".repeat(2100));
        let at_create = [("root", vec!["/.."], "root"), ("many", many, "128"), ("long", vec![long.as_str()], "4096")];
        for (name, volumes, words) in at_create {
            let builder = with_volumes(node, &pod, name, layer.clone(), &volumes).await;
            let error = builder.try_create().await.map(|c| c.id().to_owned()).expect_err(name);
            assert!(error.code() == Code::InvalidArgument && error.message().contains(words), "{error:?}");
        }
        let at_start = [
            ("file", "/file", "not a directory"),
            ("below", "/file/x", "/file/x"),
            ("ring", "/ring", "/ring"),
            ("secret", "/proc/own", "/proc/own"),
        ];
        for (name, volume, words) in at_start {
            let container = with_volumes(node, &pod, name, layer.clone(), &[volume]).await.create().await;
            let error = container.try_start().await.expect_err(name);
            assert!(error.message().contains(words), "{error:?}");
            assert!(!home(node, &container).exists(), "{name}: a failed start leaves nothing");
        }
    });
}

#[test]
fn a_file_in_a_volume_is_as_long_as_its_data() {
    on_a_node(async |node| {
        let pod = node.pod("sparse").run().await;
        let mut layer = Writer::default();
        layer.dir("/data", 0o755, 0).sparse("data/hole", 1 << 37);
        let builder = with_volumes(node, &pod, "sparse", layer.finish(Packing::Gzip), &["/data"]).await;
        let container = builder.start().await;
        assert_eq!(container.sh("stat -c '%s' /data/hole").await.stdout, format!("{}\n", 1u64 << 37));
        let copy = std::fs::metadata(home(node, &container).join("0/hole")).unwrap();
        assert!(copy.blocks() < 100, "{} blocks", copy.blocks());
    });
}

#[test]
fn a_volume_for_which_there_is_no_room_is_told_and_leaves_nothing() {
    testing::on_a_small_disk(96 << 20, async |node| {
        let pod = node.pod("full").run().await;
        let layer = Writer::default().file("/data/large", 0o644, &vec![1; 60 << 20]).finish(Packing::Gzip);
        let container = with_volumes(node, &pod, "full", layer, &["/data"]).await.create().await;
        let error = container.try_start().await.expect_err("60 MB do not fit twice");
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        assert!(error.message().contains("/data") && error.message().contains("large"), "{error:?}");
        assert!(!home(node, &container).exists());
        let empty = pod.container("empty").image("images.gorae.test/gorae/full:1").script("echo fits");
        let empty = empty.mount(&node.directory("own"), "/data").start().await;
        empty.ended().await;
        assert_eq!(empty.stdout(), ["fits"], "a mount of the request needs no copy");
    });
}

#[test]
fn a_stop_does_not_wait_for_a_volume_that_is_being_filled() {
    on_a_node(async |node| {
        let pod = node.pod("large").run().await;
        let mut layer = Writer::default();
        for n in 0..40_000 {
            layer.file(&format!("/data/{}/{n}", n % 100), 0o644, b"");
        }
        let layer = layer.finish(Packing::Plain);
        let container = with_volumes(node, &pod, "large", layer, &["/data"]).await.create().await;
        let (filling, starting) = (home(node, &container).join("0.new"), container.clone());
        let start = tokio::spawn(async move { starting.try_start().await });
        testing::soon("it is being filled", async || filling.exists().then_some(())).await;
        let begun = Instant::now();
        container.stop(60).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let error = start.await.unwrap().expect_err("it was given up");
        assert!(error.message().contains("was stopped before its start was done"), "{error:?}");
        assert_eq!(container.status().await.reason, "StartError");
        let half = std::fs::read_dir(filling.parent().expect("it is below a directory")).unwrap().flatten();
        assert_eq!(
            half.map(|e| e.file_name()).collect::<Vec<_>>(),
            ["0.new"],
            "a half one is never taken for a whole one"
        );
    });
}
