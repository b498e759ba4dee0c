// SPDX-License-Identifier: Apache-2.0
//! Security context of containers.

use gorae_proto::cri::security_profile::ProfileType;
use gorae_proto::cri::*;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node};
use std::path::PathBuf;

/// A value of a process's status.
async fn status(container: &Container, pid: &str, key: &str) -> String {
    let text = container.exec(["cat", &format!("/proc/{pid}/status")]).await.stdout;
    let line = text.lines().find_map(|l| l.strip_prefix(&format!("{key}:"))).map(str::trim);
    line.unwrap_or_else(|| panic!("{key} is not in {text}")).to_owned()
}

fn profile(kind: ProfileType, localhost_ref: &str) -> Option<SecurityProfile> {
    Some(SecurityProfile { profile_type: kind.into(), localhost_ref: localhost_ref.to_owned() })
}

async fn shell(pod: &Pod, name: &str, change: impl FnOnce(&mut LinuxContainerSecurityContext)) -> Container {
    pod.container(name).script("sleep 1000").security(change).start().await
}

/// A profile in which one call fails.
fn without(node: &Node, call: &str) -> PathBuf {
    let file = node.directory("profiles").join(format!("{call}.json"));
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [call], "action": "SCMP_ACT_ERRNO"}],
    });
    std::fs::write(&file, profile.to_string()).expect("the file is written");
    file
}

#[test]
fn each_form_of_a_seccomp_profile_is_in_force() {
    on_a_node(async |node| {
        let pod = node.pod("seccomp").run().await;
        let file = without(node, "mkdir").display().to_string();
        let table = [
            ("none", None, "0"),
            ("unconfined", profile(ProfileType::Unconfined, ""), "0"),
            ("default", profile(ProfileType::RuntimeDefault, ""), "2"),
            ("localhost", profile(ProfileType::Localhost, &file), "2"),
        ];
        for (name, asked, mode) in table {
            let container = shell(&pod, name, |s| s.seccomp = asked).await;
            assert_eq!(status(&container, "1", "Seccomp").await, mode, "{name}");
            assert_eq!(status(&container, "self", "Seccomp").await, mode, "{name}: a command");
            let made = container.sh("mkdir /made").await;
            assert_eq!(made.code == 0, name != "localhost", "{name}: {made:?}");
        }
        let wrong =
            pod.container("wrong").image(TINY).security(|s| s.seccomp = profile(ProfileType::Unconfined, &file));
        let wrong = wrong.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert!(wrong.message().contains("localhost_ref"), "{wrong:?}");
    });
}

#[test]
#[allow(deprecated)]
fn the_old_seccomp_field_counts_when_the_new_one_is_unset() {
    on_a_node(async |node| {
        let pod = node.pod("old").run().await;
        let path = format!("localhost/{}", without(node, "mkdir").display());
        let old = shell(&pod, "old", |s| s.seccomp_profile_path = path.clone()).await;
        assert_ne!(old.sh("mkdir /made").await.code, 0);
        let both = shell(&pod, "both", |s| {
            s.seccomp_profile_path = path.clone();
            s.seccomp = profile(ProfileType::Unconfined, "");
        });
        assert_eq!(both.await.sh("mkdir /made").await.code, 0, "the new field wins");
    });
}

#[test]
#[allow(deprecated)]
fn an_apparmor_profile_that_is_not_loaded_is_refused() {
    on_a_node(async |node| {
        let pod = node.pod("apparmor").run().await;
        let new = |s: &mut LinuxContainerSecurityContext| s.apparmor = profile(ProfileType::Localhost, "no-such");
        let old = |s: &mut LinuxContainerSecurityContext| s.apparmor_profile = "localhost/no-such".into();
        for change in [new as fn(&mut LinuxContainerSecurityContext), old] {
            let refused = pod.container("c").image(TINY).security(change).try_create().await;
            let refused = refused.map(|c| c.id().to_owned()).unwrap_err();
            assert!(refused.message().contains("no-such"), "{refused:?}");
        }
        let wins = pod.container("wins").image(TINY).security(|s| {
            s.apparmor_profile = "localhost/no-such".into();
            s.apparmor = profile(ProfileType::Unconfined, "");
        });
        wins.create().await;
    });
}

#[test]
fn new_privileges_are_forbidden_only_when_asked() {
    on_a_node(async |node| {
        let pod = node.pod("privileges").run().await;
        for (name, no_new_privs, flag) in [("may", false, "0"), ("may-not", true, "1")] {
            let container = shell(&pod, name, |s| s.no_new_privs = no_new_privs).await;
            assert_eq!(status(&container, "1", "NoNewPrivs").await, flag);
            assert_eq!(status(&container, "self", "NoNewPrivs").await, flag, "a command");
        }
    });
}

#[test]
fn ambient_capabilities_reach_a_program_that_is_not_root() {
    const BIND: u64 = 1 << 10;
    on_a_node(async |node| {
        let pod = node.pod("ambient").run().await;
        let container = shell(&pod, "c", |s| {
            s.run_as_user = Some(Int64Value { value: 1001 });
            let (drop_capabilities, add_ambient_capabilities) =
                (vec!["ALL".to_owned()], vec!["NET_BIND_SERVICE".to_owned()]);
            s.capabilities = Some(Capability { drop_capabilities, add_ambient_capabilities, ..Default::default() });
        })
        .await;
        for pid in ["1", "self"] {
            for set in ["CapAmb", "CapEff", "CapPrm", "CapInh", "CapBnd"] {
                let bits = u64::from_str_radix(&status(&container, pid, set).await, 16).unwrap();
                assert_eq!(bits, BIND, "{set} of {pid}");
            }
        }
        let unknown = pod.container("unknown").image(TINY).security(|s| {
            let add_ambient_capabilities = vec!["FLY".to_owned()];
            s.capabilities = Some(Capability { add_ambient_capabilities, ..Default::default() });
        });
        let unknown = unknown.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert!(unknown.message().contains("FLY"), "{unknown:?}");
    });
}

#[test]
fn groups_of_the_image_count_unless_the_policy_is_strict() {
    on_a_node(async |node| {
        let pod = node.pod("groups").run().await;
        // The groups of root in the image's /etc/group.
        let of_image = shell(&pod, "plain", |_| {}).await.sh("id -G").await.stdout.split_whitespace().count();
        for (name, policy) in [("merge", SupplementalGroupsPolicy::Merge), ("strict", SupplementalGroupsPolicy::Strict)]
        {
            let container = shell(&pod, name, |s| {
                s.run_as_username = "root".into();
                s.supplemental_groups = vec![50_000];
                s.supplemental_groups_policy = policy.into();
            })
            .await;
            let groups = container.sh("id -G").await.stdout;
            let told = container.status().await.user.and_then(|u| u.linux).expect("told").supplemental_groups;
            assert!(groups.split_whitespace().any(|g| g == "50000"), "{name}: {groups}");
            let wanted = if policy == SupplementalGroupsPolicy::Strict { 2 } else { of_image + 1 };
            assert_eq!((groups.split_whitespace().count(), told.len()), (wanted, wanted), "{name}: {groups} {told:?}");
        }
        let wrong = pod.container("wrong").image(TINY).security(|s| s.supplemental_groups_policy = 9);
        let wrong = wrong.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert!(wrong.message().contains("supplemental_groups_policy"), "{wrong:?}");
    });
}

#[test]
fn a_privileged_container_has_all_rights_and_sees_the_devices() {
    on_a_node(async |node| {
        let builder = node.pod("privileged").with(|c| {
            c.linux.as_mut().expect("set").security_context.as_mut().expect("set").privileged = true;
        });
        let pod = builder.run().await;
        let container = shell(&pod, "c", |s| {
            s.privileged = true;
            s.masked_paths = vec!["/proc/kcore".into()];
            s.seccomp = profile(ProfileType::RuntimeDefault, "");
        })
        .await;
        let held = u64::from_str_radix(&status(&container, "1", "CapEff").await, 16).unwrap();
        assert!(held & (1 << 21) != 0 && held & (1 << 12) != 0, "{held:#x}");
        assert_eq!(status(&container, "1", "Seccomp").await, "0");
        assert_eq!(
            container.sh("mkdir /m && mount -t tmpfs none /m && grep -c ' /sys sysfs rw' /proc/mounts").await.stdout,
            "1\n"
        );
        let plain = shell(&pod, "plain", |_| {}).await;
        assert_ne!(plain.sh("mkdir /m && mount -t tmpfs none /m").await.code, 0);
        let count = async |c: &Container| c.sh("find /dev -type c -o -type b | wc -l").await.stdout;
        let (all, few): (u32, u32) =
            (count(&container).await.trim().parse().unwrap(), count(&plain).await.trim().parse().unwrap());
        assert!(all > few, "{all} nodes against {few}");
    });
}
