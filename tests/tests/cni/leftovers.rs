// SPDX-License-Identifier: Apache-2.0
//! What is found where namespaces and records should be: nothing of it keeps a node from starting.

use super::frame::{FILE, addresses, bridge, is_in_use, list, on_a_cni_node};
use gorae_tests::cni;
use serde_json::json;
use std::time::UNIX_EPOCH;

#[test]
fn strange_files_do_not_keep_a_node_from_starting() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        is_in_use(node, cni, FILE, &list("one", "1.0.0", &json!([bridge("br1", &["10.81.0.0/24"])]))).await;
        let pod = node.pod("a").run().await;
        let at = addresses(&pod).await;
        let attachments = node.daemon().root().join("attachments");
        let plain = std::fs::File::create("/run/netns/cni-00000000-0000-0000-0000-000000000000").unwrap();
        // A new one could be that of a pod that somebody is just making.
        plain.set_modified(UNIX_EPOCH).unwrap();
        std::fs::write("/run/netns/of-somebody-else", "").unwrap();
        std::fs::create_dir("/run/netns/cni-directory").unwrap();
        std::fs::write(attachments.join("file"), "").unwrap();
        std::fs::create_dir(attachments.join("empty")).unwrap();
        std::fs::create_dir(attachments.join("damaged")).unwrap();
        std::fs::write(attachments.join("damaged/record"), "not a record").unwrap();
        node.kill_and_restart().await;
        assert_eq!(addresses(&pod).await, at);
        let left: Vec<_> = cni::pins().into_iter().filter(|file| !file.contains("/cni-")).collect();
        assert_eq!((left, cni::pins().len()), (vec!["/run/netns/of-somebody-else".to_owned()], 2));
        assert!(node.daemon().log().contains("the record of an attachment is damaged"));
        assert!(!attachments.join("empty").exists());
        pod.stop().await;
        std::fs::remove_file("/run/netns/of-somebody-else").unwrap();
        std::fs::remove_dir("/run/netns/cni-directory").unwrap();
        std::fs::remove_file(attachments.join("file")).unwrap();
        std::fs::remove_dir_all(attachments.join("damaged")).unwrap();
    });
}
