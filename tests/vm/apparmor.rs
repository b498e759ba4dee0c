// SPDX-License-Identifier: Apache-2.0
//! What only a machine with AppArmor can show; `make test-vm` runs it on one.

use gorae_proto::cri::{SecurityProfile, security_profile::ProfileType};
use gorae_tests::{ContainerBuilder, Node, TINY, on_a_node};
use std::process::Command;

/// Everything is allowed but one directory.
const PROFILE: &str = "profile gorae-vm-test flags=(attach_disconnected,mediate_deleted) {
    file,
    network,
    capability,
    signal,
    ptrace,
    deny /forbidden/** rw,
}
";

/// A profile that the kernel has while this lives.
struct Loaded(std::path::PathBuf);

impl Loaded {
    fn load(node: &Node) -> Self {
        let file = node.directory("apparmor").join("profile");
        std::fs::write(&file, PROFILE).unwrap();
        let loaded = Self(file);
        loaded.parser("--replace");
        loaded
    }

    fn parser(&self, verb: &str) {
        let done = Command::new("apparmor_parser").args([verb, "--skip-cache"]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "apparmor_parser {verb}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

fn confined(container: ContainerBuilder, profile: &str) -> ContainerBuilder {
    let (profile_type, localhost_ref) = (ProfileType::Localhost.into(), profile.into());
    container.security(|s| s.apparmor = Some(SecurityProfile { profile_type, localhost_ref }))
}

#[test]
fn a_loaded_profile_confines_the_container_and_every_command_in_it() {
    on_a_node(async |node| {
        let _profile = Loaded::load(node);
        let pod = node.pod("confined").run().await;
        let script =
            "mkdir /forbidden; cat /proc/self/attr/current; echo x >/forbidden/file || echo refused; sleep 1000";
        for no_new_privs in [false, true] {
            let name = format!("nnp-{no_new_privs}");
            let container = confined(pod.container(&name).script(script), "gorae-vm-test");
            let container = container.security(|s| s.no_new_privs = no_new_privs).start().await;
            container.has_printed(|line| line == "refused").await;
            assert_eq!(container.stdout(), ["gorae-vm-test (enforce)", "refused"]);
            let done = container.sh("cat /proc/self/attr/current; echo x >/forbidden/file").await;
            assert_eq!((done.stdout.as_str(), done.code), ("gorae-vm-test (enforce)\n", 1), "{done:?}");
        }
    });
}

#[test]
fn a_profile_that_is_not_loaded_is_named() {
    on_a_node(async |node| {
        let pod = node.pod("missing").run().await;
        let container = confined(pod.container("c").image(TINY).args(["sleep"]), "gorae-vm-none");
        let error = container.try_create().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error:?}");
        assert!(error.message().contains("gorae-vm-none"), "{error:?}");
    });
}
