// SPDX-License-Identifier: Apache-2.0
//! `/healthz`: 503 when an operator must act, and 200 again when he has.

use gorae_tests::hung_disk::HungDisk;
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{Node, admin, on_a_node, place};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::Path;
use std::time::{Duration, Instant};

async fn health(node: &Node) -> (u16, String) {
    let answer = admin::get(&node.daemon().admin_socket(), "/healthz").await.expect("an answer");
    (answer.status, answer.body)
}

#[test]
fn a_missing_shim_and_a_missing_socket_are_told_until_they_are_back() {
    let place = tempfile::tempdir().unwrap();
    let shim = place.path().join("gorae-shim");
    std::fs::copy(place::binary("gorae-shim"), &shim).unwrap();
    on_a_node_with(&format!("shim = {shim:?}\n"), async |node| {
        let fine = "root ok\nstate ok\nshim ok\nsocket ok\nnetwork ok\n";
        assert_eq!(health(node).await, (200, fine.to_owned()));
        for (path, check, hint) in
            [(&shim, "shim", "install gorae-shim"), (&node.daemon().socket(), "socket", "restart")]
        {
            let away = path.with_extension("away");
            std::fs::rename(path, &away).unwrap();
            let (status, said) = health(node).await;
            assert!(
                status == 503 && said.contains(&format!("{check} failed: ")) && said.contains(hint),
                "{status} {said}"
            );
            assert_eq!(said.lines().filter(|line| line.ends_with(" ok")).count(), 4, "{said}");
            std::fs::rename(&away, path).unwrap();
            assert_eq!(health(node).await, (200, fine.to_owned()));
        }
    });
}

/// A directory that is shown read-only in its place; dropping it shows it again as it is.
struct ReadOnly<'p>(&'p Path);

impl ReadOnly<'_> {
    fn over(path: &Path) -> ReadOnly<'_> {
        let flags = MsFlags::MS_BIND;
        mount(Some(path), path, None::<&str>, flags, None::<&str>).expect("mounted");
        let cover = ReadOnly(path);
        mount(None::<&str>, path, None::<&str>, flags | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None::<&str>)
            .expect("mounted");
        cover
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_root_that_cannot_be_written_to_is_told() {
    on_a_node(async |node| {
        let root = node.daemon().root();
        let cover = ReadOnly::over(&root);
        let (status, said) = health(node).await;
        assert!(
            status == 503 && said.contains("root failed: create ") && said.contains("Read-only"),
            "{status} {said}"
        );
        drop(cover);
        assert_eq!(health(node).await.0, 200);
    });
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("the directory is listed").count()
}

#[test]
fn a_disk_that_hangs_fails_its_check_within_a_second_and_holds_one_thread() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let cover = disk.over(&node.daemon().root()).unwrap();
        disk.hang();
        let before = threads(node.daemon().pid().unwrap());
        let begun = Instant::now();
        for _ in 0..3 {
            let all = futures_util::future::join_all((0..8).map(|_| health(node))).await;
            for (status, said) in all {
                assert!(status == 503 && said.contains("root failed: no answer within 1 s"), "{status} {said}");
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(disk.waiting(), 1, "one look waits, whoever asks");
        // Four checks at a time, and what the pool keeps of their threads; a thread for each request would be 24.
        let more = threads(node.daemon().pid().unwrap()).saturating_sub(before);
        assert!(more < 12, "{more} more threads");
        let page = admin::get(&node.daemon().admin_socket(), "/metrics").await.unwrap();
        assert!(page.status == 200 && !page.body.contains("gorae_records_damaged"), "{}", page.body);
        assert!(node.cri().list_pods().await.unwrap().is_empty(), "clients notice nothing");
        disk.come_back();
        drop(cover);
        let begun = Instant::now();
        while health(node).await.0 != 200 {
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", health(node).await);
        }
    });
}
