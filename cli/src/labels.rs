// SPDX-License-Identifier: Apache-2.0
//! The labels and annotations that mark the pods and containers made by the command line, and their names for people.

use gorae_proto::cri;
use std::collections::HashMap;

/// The Kubernetes namespace in the metadata of every pod that the command line makes.
pub const NAMESPACE: &str = "gorae";
/// Label on pod and container that names the maker of the object.
pub const OWNER: &str = "dev.gorae.owner";
/// The value of [`OWNER`] on what the command line makes.
pub const CLI: &str = "cli";
/// Label on pod and container with the container's name.
pub const NAME: &str = "dev.gorae.name";
/// Annotation of a container with its command, as `ps` shows it.
pub const COMMAND: &str = "dev.gorae.command";
/// Annotation of a container with its published ports, as `ps` shows them.
pub const PORTS: &str = "dev.gorae.ports";
/// Annotation of a container with the name of the one whose network it shares.
pub const NETWORK_OF: &str = "dev.gorae.network-of";

/// The labels for the pod and the container of this name.
pub fn for_container(name: &str) -> HashMap<String, String> {
    [(OWNER, CLI), (NAME, name)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// The name that the command line gave to an object; `None` for objects of other clients.
pub fn name(labels: &HashMap<String, String>) -> Option<&str> {
    (labels.get(OWNER).map(String::as_str) == Some(CLI)).then(|| labels.get(NAME).map(String::as_str))?
}

/// The name of a container for people: the one from the command line, else `NAMESPACE/POD/CONTAINER` for a kubelet's
/// container, else the CRI's.
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
    fn containers_of_each_client_have_their_own_form_of_name() {
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
