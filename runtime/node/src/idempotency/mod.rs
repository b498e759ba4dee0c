// SPDX-License-Identifier: Apache-2.0
//! Decides whether a request for an existing object is a retry of the request that made it. A request with another
//! configuration is not a retry: a client must not get something other than what it requested.
//!
//! Two configurations are equal when they mean the same. kubelet writes variables, mounts and devices from maps, so their
//! order changes with each retry. It gives the file for a container's termination message another name each time. And it
//! records in an annotation when it first saw a pod, which changes when kubelet is restarted.

mod difference;

use crate::error::{Error, Kind, Result};
use difference::difference;
use gorae_proto::cri;
use serde::Serialize;
use serde_json::Value;

/// The annotation with the time at which this kubelet first saw the pod.
const SEEN: &str = "kubernetes.io/config.seen";
/// The annotation with the path of the termination message in the container. kubelet finds the file on the host by the
/// mounts of the status.
const TERMINATION_MESSAGE: &str = "io.kubernetes.container.terminationMessagePath";
/// The longest name of a field in an error.
const LONGEST_NAME: usize = 200;

/// Checks that two requests for one container mean the same.
///
/// # Errors
/// `AlreadyExists` with the first field that differs, but not with its content.
pub fn check_container(title: &str, made: &cri::ContainerConfig, asked: &cri::ContainerConfig) -> Result<()> {
    if made == asked {
        return Ok(());
    }
    let (made, asked) = (in_order(made), in_order(asked));
    // Values of variables are bytes, and there may be many: they are compared without a detour through JSON.
    let variables = (made.envs != asked.envs).then(|| "envs".to_owned());
    let bare = |config| json(&cri::ContainerConfig { envs: Vec::new(), ..config });
    refuse(title, variables.or_else(|| difference(&bare(made), &bare(asked))))
}

/// Checks that two requests for one pod mean the same, including the runtime handler.
///
/// # Errors
/// As [`check_container`].
pub fn check_pod(
    title: &str,
    made: (&cri::PodSandboxConfig, &str),
    asked: (&cri::PodSandboxConfig, &str),
) -> Result<()> {
    if made == asked {
        return Ok(());
    }
    let handler = (made.1 != asked.1).then(|| "runtime_handler".to_owned());
    let unseen = |config: &cri::PodSandboxConfig| {
        let mut config = config.clone();
        config.annotations.remove(SEEN);
        json(&config)
    };
    refuse(title, handler.or_else(|| difference(&unseen(made.0), &unseen(asked.0))))
}

/// Sorts the lists whose order is irrelevant; entries with the same name keep their order, because there it matters.
fn in_order(config: &cri::ContainerConfig) -> cri::ContainerConfig {
    let mut config = config.clone();
    config.envs.sort_by(|a, b| a.key.cmp(&b.key));
    config.mounts.sort_by(|a, b| a.container_path.cmp(&b.container_path));
    config.devices.sort_by(|a, b| a.container_path.cmp(&b.container_path));
    config.cdi_devices.sort_by(|a, b| a.name.cmp(&b.name));
    let message = config.annotations.get(TERMINATION_MESSAGE);
    for mount in config.mounts.iter_mut().filter(|mount| message == Some(&mount.container_path)) {
        mount.host_path.clear();
    }
    config
}

fn json(config: &impl Serialize) -> Value {
    serde_json::to_value(config).expect("a message of strings, numbers and lists has a JSON form")
}

fn refuse(title: &str, field: Option<String>) -> Result<()> {
    let Some(mut field) = field else { return Ok(()) };
    if let Some((end, _)) = field.char_indices().nth(LONGEST_NAME) {
        field.replace_range(end.., "…");
    }
    let why =
        format!("{title} exists with another configuration: {field} differs; remove it, or use another attempt number");
    Err(Error::new(Kind::AlreadyExists, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(key: &str, value: &str) -> cri::KeyValue {
        cri::KeyValue { key: key.into(), value: value.into() }
    }

    fn mount(path: &str, host: &str) -> cri::Mount {
        cri::Mount { container_path: path.into(), host_path: host.into(), ..Default::default() }
    }

    fn container() -> cri::ContainerConfig {
        cri::ContainerConfig {
            envs: vec![variable("A", "1"), variable("B", "2"), variable("A", "3")],
            mounts: vec![mount("/a", "/x"), mount("/b", "/y")],
            labels: [("app/name".to_owned(), "web".to_owned())].into(),
            ..Default::default()
        }
    }

    fn refused(change: impl FnOnce(&mut cri::ContainerConfig)) -> String {
        let mut asked = container();
        change(&mut asked);
        let error = check_container("container c", &container(), &asked).expect_err("another one");
        assert_eq!(error.kind(), Kind::AlreadyExists);
        error.to_string()
    }

    #[test]
    fn the_first_field_that_differs_is_named_and_its_content_is_not() {
        let long = "é".repeat(5000);
        for (said, why) in [
            (refused(|c| c.envs[0].value = b"secret".to_vec()), "envs differs"),
            (refused(|c| c.envs.swap(0, 2)), "envs differs"),
            (refused(|c| c.mounts[1].host_path = "/secret".into()), "mounts[1].host_path differs"),
            (refused(|c| c.mounts.clear()), "mounts differs"),
            (refused(|c| drop(c.labels.insert("app/name".into(), "secret".into()))), "labels[\"app/name\"] differs"),
            (refused(|c| drop(c.labels.insert("a\nb".into(), "secret".into()))), "labels[\"a\\nb\"] differs"),
            (refused(|c| c.linux = Some(cri::LinuxContainerConfig::default())), "linux differs"),
            (refused(|c| drop(c.annotations.insert(long, String::new()))), "…"),
        ] {
            assert!(said.contains(why) && !said.contains("secret") && said.len() < 700, "{said}");
        }
    }

    #[test]
    fn what_kubelet_writes_in_any_order_is_the_same_in_any_order() {
        let mut asked = container();
        asked.envs = vec![variable("B", "2"), variable("A", "1"), variable("A", "3")];
        asked.mounts.reverse();
        check_container("container c", &container(), &asked).expect("the same");
    }

    #[test]
    fn a_new_file_for_the_last_words_makes_no_other_container_of_it() {
        let words = |file: &str| {
            let mut config = container();
            config.annotations.insert(TERMINATION_MESSAGE.into(), "/dev/termination-log".into());
            config.mounts.push(mount("/dev/termination-log", file));
            config
        };
        check_container("container c", &words("/pods/c/1a2b3c4d"), &words("/pods/c/5e6f7a8b")).expect("the same");
        let mut another = words("/pods/c/1a2b3c4d");
        another.mounts[0].host_path = "/z".into();
        check_container("container c", &words("/pods/c/1a2b3c4d"), &another).expect_err("another volume");
    }

    #[test]
    fn a_pod_is_the_same_though_kubelet_has_seen_it_anew_and_another_with_another_handler() {
        let seen = |at: &str| cri::PodSandboxConfig {
            annotations: [(SEEN.to_owned(), at.to_owned())].into(),
            ..Default::default()
        };
        check_pod("pod p", (&seen("1"), ""), (&seen("2"), "")).expect("the same");
        let error = check_pod("pod p", (&seen("1"), ""), (&seen("1"), "runc")).expect_err("another").to_string();
        assert!(error.contains("runtime_handler differs"), "{error}");
        let named = cri::PodSandboxConfig { hostname: "secret".into(), ..seen("1") };
        let error = check_pod("pod p", (&seen("1"), ""), (&named, "")).expect_err("another").to_string();
        assert!(error.contains(": hostname differs") && !error.contains("secret"), "{error}");
    }
}
