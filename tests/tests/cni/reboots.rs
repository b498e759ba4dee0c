// SPDX-License-Identifier: Apache-2.0
//! Reboots: no namespace lives, but the plugins' files on disk do, and would fill the range.

use super::frame::{FILE, addresses, bridge, is_in_use, list, nothing_is_kept};
use gorae_proto::cri::PodSandboxState;
use gorae_tests::reboot::Boots;
use gorae_tests::testing::on_a_node_for;
use gorae_tests::{Cni, Node, cni};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

/// 100 pods in all.
const BOOTS: usize = 20;
/// As many as there are addresses in the range.
const PODS: usize = 5;

#[test]
fn after_each_of_twenty_reboots_all_addresses_of_the_range_can_be_had_again() {
    on_a_node_for(Duration::from_secs(240), async |node| {
        let cni = Cni::install(&["bridge", "host-local"]);
        let boots = Boots::covered(&node.directory("boots")).unwrap();
        is_in_use(node, &cni, FILE, &list("one", "1.0.0", &json!([bridge("br1", &["10.85.0.0/29"])]))).await;
        for boot in 0..BOOTS {
            fill(node, boot).await;
            boots.reboot(node, boot).await.unwrap();
            // Where /run is on a disk, plain files stay instead of the namespaces; a reboot takes a while.
            for file in cni::pins() {
                if boot % 2 == 0 {
                    std::fs::remove_file(file).unwrap();
                } else {
                    std::fs::File::open(file).unwrap().set_modified(UNIX_EPOCH).unwrap();
                }
            }
            node.restart().await;
        }
        let pods = node.cri().list_pods().await.unwrap();
        assert!(pods.iter().all(|pod| pod.state() == PodSandboxState::SandboxNotready), "{pods:?}");
        node.sweep().await.unwrap();
        nothing_is_kept(node).await;
        drop(cni);
        std::fs::remove_file(node.daemon().root().join("cni-seen")).unwrap();
        // The built-in network, as it was at the beginning.
        node.kill_and_restart().await;
        node.warm_up().await.unwrap();
        drop(boots);
    });
}

/// Runs as many pods as there are addresses. In every third boot they are still being made when the power goes.
async fn fill(node: &Node, boot: usize) {
    let runs: Vec<_> = (0..PODS).map(|i| tokio::spawn(node.pod(&format!("p{boot}-{i}")).try_run())).collect();
    if boot % 3 == 2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        return;
    }
    for run in runs {
        let pod = run.await.unwrap().unwrap_or_else(|status| panic!("boot {boot}: {status:?}"));
        assert!(addresses(&pod).await[0].starts_with("10.85.0."));
    }
    assert_eq!((cni::kept().len(), cni::pins().len()), (PODS, PODS), "{:?}", cni::kept());
}
