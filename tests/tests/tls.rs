// SPDX-License-Identifier: Apache-2.0
//! A registry behind https, as kubelet and the node's operator see it.

use gorae_tests::images::own;
use gorae_tests::{place, testing};
use std::process::Command;
use tonic::Code;

const IMAGE: &str = "tls.gorae.test/gorae/tiny:1";

#[test]
fn a_registry_of_an_unknown_authority_is_unavailable_until_the_node_trusts_it() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let dir = node.directory("certificates");
        assert!(Command::new(place::checkout().join("tests/certificates")).arg(&dir).status().unwrap().success());
        node.registry().client().push(&own::tiny().unwrap()).unwrap();
        let registry = node.registry().over_tls(&dir.join("good.pem"), &dir.join("good.key")).unwrap();
        // What stands for the system's authorities.
        let system = dir.join("system.pem");
        std::fs::copy(dir.join("other-ca.pem"), &system).unwrap();
        node.daemon().set_variable("SSL_CERT_FILE", &system);
        node.kill_and_restart().await;
        node.daemon().set_hosts("tls.gorae.test", &format!("server = \"https://{}\"\n", registry.address())).unwrap();
        let refused = node.cri().pull(IMAGE).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unknown, "{refused:?}");
        assert!(refused.message().starts_with("RegistryUnavailable: "), "{refused:?}");
        assert!(refused.message().contains("does not trust"), "{refused:?}");
        assert!(node.cri().list_images().await.unwrap().is_empty());
        // Once the authority is there, the daemon needs no restart.
        std::fs::copy(dir.join("ca.pem"), &system).unwrap();
        node.cri().pull(IMAGE).await.unwrap();
        let pod = node.pod("tls").run().await;
        let container = pod.container("c").image(IMAGE).args(["echo", "from afar"]).start().await;
        assert_eq!(container.ended().await.exit_code, 0);
        assert_eq!(container.stdout(), ["from afar"]);
    });
}
