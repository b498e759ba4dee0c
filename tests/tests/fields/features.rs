// SPDX-License-Identifier: Apache-2.0
//! What the runtime says that it can do: each of these is shown by a test of this suite.

use gorae_proto::cri::StatusRequest;
use gorae_tests::on_a_node;

#[test]
fn every_feature_that_is_told_has_its_test() {
    on_a_node(async |node| {
        let status = node.cri().runtime().status(StatusRequest::default()).await.unwrap().into_inner();
        let names: Vec<_> = status.runtime_handlers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["", "gorae"], "the default handler is listed under the empty name, too");
        for handler in &status.runtime_handlers {
            let features = handler.features.expect("told");
            // recursive_read_only_reaches_what_is_mounted_below
            assert!(features.recursive_read_only_mounts);
            // a_pods_user_namespace_has_the_asked_mapping, a_volume_shows_its_owners_in_a_user_namespace
            assert!(features.user_namespaces);
        }
        let features = status.features.expect("told");
        // groups_of_the_image_count_unless_the_policy_is_strict
        assert!(features.supplemental_groups_policy);
        // a_user_namespace_goes_with_the_nodes_network
        assert!(features.user_namespaces_host_network);
        // options_of_a_mount_are_in_force_and_others_are_refused
        assert!(features.mount_options);
    });
}
