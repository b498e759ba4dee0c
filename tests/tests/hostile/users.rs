// SPDX-License-Identifier: Apache-2.0
//! The user of an image: exactly the named one, or a refusal, and never root by accident.

use crate::{container_of, program};
use gorae_tests::images::layer::{Layer, Packing, Writer};
use gorae_tests::{Container, testing};
use serde_json::json;
use tar::EntryType;

/// For every text that is not an id there is a line that would make it root.
const PASSWD: &str = "root:x:0:0::/:\nbob:x:1000:100::/:\n-1:x:0:0::/:\n+0:x:0:0::/:\n 0:x:0:0::/:\n0 :x:0:0::/:\n\
    +1:x:0:0::/:\n2147483648:x:0:0::/:\n4294967295:x:0:0::/:\n4294967296:x:0:0::/:\n18446744073709551616:x:0:0::/:\n\
    1000:x:0:0::/:\nhuge:x:4294967296:0::/:\nminus:x:-1:0::/:\nempty:x::0::/:\n";

/// The user id of the container's first process, as the host sees it.
async fn uid(container: &Container) -> u32 {
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is read");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("it has the line");
    line.split_whitespace().next().expect("it has a uid").parse().expect("a number")
}

#[test]
fn a_user_of_an_image_is_the_id_it_says_or_is_refused() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let pod = node.pod("users").run().await;
        let layers =
            vec![program(), Writer::default().file("/etc/passwd", 0o644, PASSWD.as_bytes()).finish(Packing::Gzip)];
        let grid = [
            ("", Some(0)),
            ("root", Some(0)),
            ("bob", Some(1000)),
            ("1000", Some(1000)),
            ("00007", Some(7)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(2_147_483_648)),
            ("4294967294", Some(4_294_967_294)),
            ("4294967295", None),
            ("4294967296", None),
            ("4294967297", None),
            ("18446744073709551615", None),
            ("18446744073709551616", None),
            ("-1", None),
            ("+0", None),
            ("+1", None),
            (" 0", None),
            ("0 ", None),
            ("0x0", None),
            ("huge", None),
            ("minus", None),
            ("empty", None),
            ("nobody-here", None),
        ];
        for (number, (user, wanted)) in grid.into_iter().enumerate() {
            let name = format!("u{number}");
            let builder = container_of(node, &pod, &name, layers.clone(), json!({"User": user})).await;
            let started = match builder.create_as_it_is().await {
                Ok(container) => container.try_start().await.map(|()| container),
                Err(refused) => Err(refused),
            };
            match (started, wanted) {
                (Ok(container), Some(wanted)) => assert_eq!(uid(&container).await, wanted, "{user:?}"),
                (Ok(container), None) => panic!("{user:?} runs as {}", uid(&container).await),
                (Err(refused), None) => {
                    assert!(refused.message().contains(user.trim()), "{user:?}: {refused:?}");
                }
                (Err(refused), Some(_)) => panic!("{user:?}: {refused:?}"),
            }
        }
    });
}

/// A layer whose `/etc/passwd` is something else than a file of usual size.
fn odd_passwd(kind: EntryType, link: &str, major: u32, minor: u32) -> Layer {
    let mut layer = Writer::default();
    layer.dir("/etc", 0o755, 0);
    layer.node(kind, "etc/passwd", link, (major, minor));
    layer.finish(Packing::Gzip)
}

#[test]
fn a_user_database_of_any_kind_and_size_neither_hangs_nor_leads_out() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let pod = node.pod("databases").run().await;
        let sparse = {
            let mut layer = Writer::default();
            layer.dir("/etc", 0o755, 0).sparse("etc/passwd", 5 << 30);
            layer.finish(Packing::Gzip)
        };
        let kinds = [
            ("fifo", odd_passwd(EntryType::Fifo, "", 0, 0)),
            ("zero", odd_passwd(EntryType::Char, "", 1, 5)),
            ("terminal", odd_passwd(EntryType::Char, "", 5, 0)),
            ("disk", odd_passwd(EntryType::Block, "", 7, 0)),
            ("directory", odd_passwd(EntryType::Directory, "", 0, 0)),
            ("link-out", odd_passwd(EntryType::Symlink, "../../../../../../../../../etc/passwd", 0, 0)),
            ("link-proc", odd_passwd(EntryType::Symlink, "/proc/self/root/etc/passwd", 0, 0)),
            ("loop", odd_passwd(EntryType::Symlink, "passwd", 0, 0)),
            ("huge", sparse),
        ];
        for (name, layer) in kinds {
            let builder = container_of(node, &pod, name, vec![program(), layer], json!({"User": "daemon"})).await;
            let container = builder.create().await;
            // The host has that user, so an id for it could only come from the host's file.
            let refused = container.try_start().await.unwrap_err();
            assert!(refused.message().contains("passwd"), "{name}: {refused:?}");
        }
    });
}
