// SPDX-License-Identifier: Apache-2.0
//! Configurations that contradict themselves, or ask for what cannot be.

use crate::code;
use gorae_proto::cri::security_profile::ProfileType;
use gorae_proto::cri::*;
use gorae_tests::{TINY, on_a_node};
use tonic::Code;

#[test]
fn pods_that_contradict_themselves_are_refused() {
    on_a_node(async |node| {
        type Change = fn(&mut PodSandboxConfig);
        let wrong: [(&str, Change); 9] = [
            ("no name", |c| c.metadata.as_mut().expect("set").name.clear()),
            ("no metadata", |c| c.metadata = None),
            ("relative logs", |c| c.log_directory = "logs".into()),
            ("a port too high", |c| {
                c.port_mappings.push(PortMapping { container_port: 70_000, host_port: 1, ..Default::default() })
            }),
            ("a negative port", |c| {
                c.port_mappings.push(PortMapping { container_port: 80, host_port: -1, ..Default::default() })
            }),
            ("a climbing cgroup", |c| c.linux.as_mut().expect("set").cgroup_parent = "/../../x".into()),
            ("a slice", |c| c.linux.as_mut().expect("set").cgroup_parent = "kubepods-pod1.slice".into()),
            ("a long host name", |c| c.hostname = "x".repeat(300)),
            ("a group without a user", |c| {
                let security = c.linux.as_mut().expect("set").security_context.as_mut().expect("set");
                security.run_as_group = Some(Int64Value { value: 1 });
            }),
        ];
        for (what, change) in wrong {
            let answer = node.pod("wrong").with(change).run_as_it_is().await;
            assert_eq!(code(answer.map(|p| p.id().to_owned())), Code::InvalidArgument, "{what}");
        }
        let handler =
            node.pod("handler").handler("no-such-handler").try_run().await.map(|p| p.id().to_owned()).unwrap_err();
        assert!(handler.message().contains("no-such-handler"), "{handler:?}");
        assert!(node.cri().list_pods().await.unwrap().is_empty());
    });
}

#[test]
fn containers_that_contradict_themselves_are_refused() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        type Change = fn(&mut ContainerConfig);
        let wrong: [(&str, Change); 12] = [
            ("no name", |c| c.metadata.as_mut().expect("set").name.clear()),
            ("no metadata", |c| c.metadata = None),
            ("no image", |c| c.image = None),
            ("a relative mount", |c| c.mounts.push(mount("/tmp", "data"))),
            ("a relative source", |c| c.mounts.push(mount("tmp", "/data"))),
            ("a climbing log", |c| c.log_path = "../../log".into()),
            ("a NUL in an argument", |c| c.args = vec!["a\0b".into()]),
            ("a NUL in a variable", |c| c.envs.push(KeyValue { key: "A".into(), value: b"a\0b".to_vec() })),
            ("an = in a key", |c| c.envs.push(KeyValue { key: "A=B".into(), value: b"c".to_vec() })),
            ("a negative user", |c| security(c).run_as_user = Some(Int64Value { value: -1 })),
            ("a user too large", |c| security(c).run_as_user = Some(Int64Value { value: 1 << 32 })),
            ("a group without a user", |c| security(c).run_as_group = Some(Int64Value { value: 1 })),
        ];
        let pod = node.pod("wrong").run().await;
        for (what, change) in wrong {
            let answer = pod.container("c").image(TINY).with(change).create_as_it_is().await;
            assert_eq!(code(answer.map(|c| c.id().to_owned())), Code::InvalidArgument, "{what}");
        }
        let privileged = pod.container("p").image(TINY).security(|s| s.privileged = true).create_as_it_is().await;
        assert!(privileged.is_err(), "a privileged container in a pod that is not");
        let unknown = pod.container("u").image(TINY).security(|s| s.run_as_username = "nobody-knows".into());
        let unknown = match unknown.create_as_it_is().await {
            Ok(container) => container.try_start().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(unknown.message().contains("nobody-knows"), "{unknown:?}");
    });
}

fn mount(host: &str, container: &str) -> Mount {
    Mount { host_path: host.into(), container_path: container.into(), ..Default::default() }
}

fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    config.linux.get_or_insert_default().security_context.get_or_insert_default()
}

#[test]
fn names_with_newlines_and_nul_bytes_are_refused_everywhere() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("names").run().await;
        for bad in ["a\nb", "a\0b"] {
            type Change = fn(&mut PodSandboxConfig, &str);
            let of_pod: [Change; 6] = [
                |c, bad| c.metadata.as_mut().expect("set").name = bad.into(),
                |c, bad| c.metadata.as_mut().expect("set").uid = bad.into(),
                |c, bad| c.metadata.as_mut().expect("set").namespace = bad.into(),
                |c, bad| c.hostname = bad.into(),
                |c, bad| c.dns_config = Some(DnsConfig { servers: vec![bad.into()], ..Default::default() }),
                |c, bad| drop(c.linux.as_mut().expect("set").sysctls.insert("net.core.somaxconn".into(), bad.into())),
            ];
            for (i, change) in of_pod.into_iter().enumerate() {
                let answer = node.pod("bad").with(|c| change(c, bad)).run_as_it_is().await;
                assert_eq!(code(answer.map(|p| p.id().to_owned())), Code::InvalidArgument, "{i} {bad:?}");
            }
            type Part = fn(&mut ContainerConfig, &str);
            let of_container: [Part; 3] = [
                |c, bad| c.metadata.as_mut().expect("set").name = bad.into(),
                |c, bad| security(c).run_as_username = bad.into(),
                |c, bad| security(c).apparmor = Some(profile(ProfileType::Localhost, bad)),
            ];
            for (i, change) in of_container.into_iter().enumerate() {
                let answer = pod.container("c").image(TINY).with(|c| change(c, bad)).create_as_it_is().await;
                assert_eq!(code(answer.map(|c| c.id().to_owned())), Code::InvalidArgument, "{i} {bad:?}");
            }
        }
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
        assert!(node.cri().list_containers(None).await.unwrap().is_empty());
    });
}

fn profile(kind: ProfileType, localhost_ref: &str) -> SecurityProfile {
    SecurityProfile { profile_type: kind.into(), localhost_ref: localhost_ref.into() }
}

#[test]
fn ids_out_of_range_are_never_root() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("ids").run().await;
        for bad in [-1, i64::from(u32::MAX), 1 << 32, i64::MAX, i64::MIN] {
            type Change = fn(&mut LinuxContainerSecurityContext, i64);
            let changes: [Change; 3] = [
                |s, bad| s.run_as_user = Some(Int64Value { value: bad }),
                |s, bad| {
                    s.run_as_user = Some(Int64Value { value: 0 });
                    s.run_as_group = Some(Int64Value { value: bad });
                },
                |s, bad| s.supplemental_groups = vec![bad],
            ];
            for change in changes {
                let answer = pod.container("c").image(TINY).security(|s| change(s, bad)).create_as_it_is().await;
                assert_eq!(code(answer.map(|c| c.id().to_owned())), Code::InvalidArgument, "{bad}");
            }
        }
        for name in ["4294967296", "4294967295"] {
            let container = pod.container(name).image(TINY).security(|s| s.run_as_username = name.into());
            let container = container.create_as_it_is().await.unwrap();
            assert_eq!(code(container.try_start().await), Code::InvalidArgument, "{name}");
        }
    });
}

#[test]
fn broken_and_huge_seccomp_profiles_are_refused_with_their_path() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("seccomp").run().await;
        let directory = node.directory("profiles");
        let huge = format!("{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"x\": \"{}\"}}", "x".repeat(20 << 20));
        let files = [
            ("empty.json", ""),
            ("torn.json", "{\"defaultAction\": \"SCMP_ACT_AL"),
            ("action.json", "{\"defaultAction\": \"SCMP_ACT_MAYBE\"}"),
            ("list.json", "[1, 2, 3]"),
            ("bytes.json", "\u{0}\u{1}"),
            ("huge.json", huge.as_str()),
        ];
        for (name, text) in files {
            let file = directory.join(name);
            std::fs::write(&file, text).unwrap();
            let asked = profile(ProfileType::Localhost, &file.display().to_string());
            let answer = pod.container("c").image(TINY).security(|s| s.seccomp = Some(asked)).create_as_it_is().await;
            let error = answer.map(|c| c.id().to_owned()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{name}: {error:?}");
            assert!(error.message().contains(name), "{error:?}");
        }
    });
}

#[test]
fn a_pod_cidr_that_is_none_is_refused() {
    on_a_node(async |node| {
        let update = |pod_cidr: &str| UpdateRuntimeConfigRequest {
            runtime_config: Some(RuntimeConfig { network_config: Some(NetworkConfig { pod_cidr: pod_cidr.into() }) }),
        };
        let mut rt = node.cri().runtime();
        for bad in ["10.0.0.0", "10.0.0.0/33", "300.0.0.0/8", "x"] {
            assert_eq!(code(rt.update_runtime_config(update(bad)).await), Code::InvalidArgument, "{bad}");
        }
        rt.update_runtime_config(update("")).await.unwrap();
        rt.update_runtime_config(UpdateRuntimeConfigRequest::default()).await.unwrap();
    });
}

#[test]
fn a_cgroup_parent_of_the_other_driver_is_told_with_the_remedy() {
    on_a_node(async |node| {
        let driver = node.cri().runtime().runtime_config(RuntimeConfigRequest {}).await.unwrap().into_inner();
        assert_eq!(driver.linux.expect("told").cgroup_driver(), CgroupDriver::Cgroupfs);
        for parent in ["kubepods-pod1.slice", "/kubepods.slice/kubepods-pod1.slice"] {
            let builder = node.pod("slice").with(|c| c.linux.as_mut().expect("set").cgroup_parent = parent.into());
            let error = builder.try_run().await.map(|p| p.id().to_owned()).unwrap_err();
            assert!(error.message().contains("cgroupfs") && error.message().contains(parent), "{error:?}");
        }
        assert!(node.cri().list_pods().await.unwrap().is_empty());
    });
}
