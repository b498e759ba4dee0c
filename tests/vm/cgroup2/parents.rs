// SPDX-License-Identifier: Apache-2.0
//! Parents that a client names.

use crate::{group, said};
use gorae_proto::cri::{CgroupDriver, RuntimeConfigRequest};
use gorae_tests::{TINY, on_a_node};
use std::path::Path;

#[test]
fn a_slice_is_refused_with_the_driver_that_this_runtime_has() {
    on_a_node(async |node| {
        let told = node.cri().runtime().runtime_config(RuntimeConfigRequest {}).await.unwrap().into_inner();
        assert_eq!(told.linux.expect("this is Linux").cgroup_driver(), CgroupDriver::Cgroupfs);
        for slice in ["/kubepods.slice/kubepods-pod1.slice", "kubepods-pod1.slice:gorae:1"] {
            let pod = node.pod("slice").with(|c| c.linux.as_mut().expect("set").cgroup_parent = slice.into());
            let error = pod.try_run().await.unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument, "{error:?}");
            assert!(error.message().contains("cgroupfs"), "{error:?}");
        }
    });
}

#[test]
fn a_parent_that_nobody_made_hands_every_controller_down_and_goes_with_the_pod() {
    on_a_node(async |node| {
        let parent = Path::new("/sys/fs/cgroup/far");
        let pod = node.pod("deep").with(|c| c.linux.as_mut().expect("set").cgroup_parent = "/far/down/pod".into());
        let pod = pod.run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let here = said(&group(&container).await, "cgroup.controllers");
        for controller in ["cpu", "cpuset", "io", "memory", "hugetlb", "pids"] {
            assert!(here.split(' ').any(|one| one == controller), "{controller} is not among {here}");
        }
        pod.remove().await;
        assert!(!parent.exists(), "nothing else made it");
    });
}
