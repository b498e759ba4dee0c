// SPDX-License-Identifier: Apache-2.0
//! SIGHUP: the daemon reads its configuration again, and says what became of each key.

use gorae_proto::cri::CdiDevice;
use gorae_tests::testing::soon;
use gorae_tests::{BUSYBOX, Node, TINY, on_a_node};

fn config(node: &Node) -> std::path::PathBuf {
    node.daemon().socket().with_file_name("config.toml")
}

/// Has the daemon read its configuration; what it says of it.
async fn read_again(node: &Node) -> String {
    let before = node.daemon().log().len();
    let pid = nix::unistd::Pid::from_raw(node.daemon().pid().expect("goraed runs").try_into().expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("it runs");
    soon("the daemon says that it has read its configuration", async || {
        let said = node.daemon().log()[before..].to_owned();
        (said.contains("configuration reloaded") || said.contains("cannot be used")).then_some(said)
    })
    .await
}

#[test]
fn a_changed_configuration_counts_at_once_where_it_can_and_a_wrong_one_changes_nothing() {
    on_a_node(async |node| {
        let (file, before) = (config(node), std::fs::read_to_string(config(node)).unwrap());
        let pod = node.pod("p").run().await;
        let running = pod.container("running").image(TINY).start().await;
        assert!(read_again(node).await.contains("changed=0"), "nothing has changed");

        let devices = node.directory("devices");
        let spec = r#"{"cdiVersion": "0.6.0", "kind": "gorae.test/late", "devices": [{"name": "one", "containerEdits": {"env": ["LATE=yes"]}}]}"#;
        std::fs::write(devices.join("late.json"), spec).unwrap();
        let [first, last] = node.daemon().cdi_directories();
        let wanted = format!("directories = [{first:?}, {last:?}, {devices:?}]");
        let after = before.replace(&format!("directories = [{first:?}, {last:?}]"), &wanted);
        assert_ne!(before, after);
        std::fs::write(&file, format!("reconcile_seconds = 30\n{after}\n[streaming]\nport = 18_123\n")).unwrap();
        let said = read_again(node).await;
        let of =
            |key: &str| said.lines().find(|line| line.contains(&format!("{key:?}"))).unwrap_or_default().to_owned();
        assert!(of("cdi.directories").contains("from now on"), "{said}");
        assert!(of("reconcile_seconds").contains("from now on"), "{said}");
        assert!(of("streaming.port").contains("needs a restart"), "{said}");
        assert!(said.contains("changed=3"), "{said}");
        let device = CdiDevice { name: "gorae.test/late=one".into() };
        let late = pod.container("late").image(BUSYBOX).script("echo LATE=$LATE").with(|c| c.cdi_devices.push(device));
        let late = late.start().await;
        late.ended().await;
        assert_eq!(late.stdout(), ["LATE=yes"]);

        for (text, told) in [
            (format!("{after}\n[streaming]\nport = 70_000\n"), ["port", "line "]),
            (format!("reconcile_seconds = 0\n{after}"), ["reconcile_seconds", "line 1"]),
            (format!("{after}\n[nonsense]\n"), ["nonsense", "line "]),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = read_again(node).await;
            assert!(told.iter().all(|part| said.contains(part)) && said.contains("nothing has changed"), "{said}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(read_again(node).await.contains("config.toml"));
        std::fs::write(&file, before).unwrap();
        assert_eq!(running.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
    });
}
