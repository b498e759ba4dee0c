// SPDX-License-Identifier: Apache-2.0
//! How the command line marks the pods and containers that it made, and what they are called.

use gorae_proto::cri;
use std::collections::HashMap;

/// Kubernetes namespace field of every pod that the command line makes.
pub const NAMESPACE: &str = "gorae";
/// Label that says who made the object.
pub const OWNER: &str = "dev.gorae.owner";
/// Its value.
pub const CLI: &str = "cli";
/// Label with the container's name, on pod and container.
pub const NAME: &str = "dev.gorae.name";
/// Annotation with the command as `ps` shows it.
pub const COMMAND: &str = "dev.gorae.command";
/// Annotation with the published ports as `ps` shows them.
pub const PORTS: &str = "dev.gorae.ports";
/// Annotation that asks the daemon to give the new container the files of an exited one.
pub const CONTINUE: &str = "dev.gorae.continue";

/// The labels of an object that the command line makes.
pub fn for_container(name: &str) -> HashMap<String, String> {
    [(OWNER, CLI), (NAME, name)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// The name that the command line gave; `None` for everybody else's objects.
pub fn name(labels: &HashMap<String, String>) -> Option<&str> {
    (labels.get(OWNER).map(String::as_str) == Some(CLI)).then(|| labels.get(NAME).map(String::as_str))?
}

/// What to call a container: our name, or `NAMESPACE/POD/CONTAINER` for a kubelet's, or its own name.
pub fn display_name(container: &cri::Container) -> String {
    let labels = &container.labels;
    if let Some(name) = name(labels) {
        return name.to_owned();
    }
    let own = container.metadata.as_ref().map_or("", |metadata| metadata.name.as_str());
    match (labels.get("io.kubernetes.pod.namespace"), labels.get("io.kubernetes.pod.name")) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}/{own}"),
        _ => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_maker_has_its_way_of_naming() {
        let named = |labels: HashMap<String, String>| {
            let metadata = Some(cri::ContainerMetadata { name: "web".into(), attempt: 0 });
            display_name(&cri::Container { metadata, labels, ..Default::default() })
        };
        let kubelet = [("io.kubernetes.pod.namespace", "default"), ("io.kubernetes.pod.name", "site")];
        assert_eq!(named(for_container("brave_otter")), "brave_otter");
        assert_eq!(named(kubelet.map(|(k, v)| (k.into(), v.into())).into()), "default/site/web");
        assert_eq!(named(HashMap::new()), "web");
    }

    #[test]
    fn a_name_without_the_owner_is_not_ours() {
        assert_eq!(name(&[(NAME.to_owned(), "x".to_owned())].into()), None);
    }
}
