// SPDX-License-Identifier: Apache-2.0
//! The methods that clients can call: their names, what sort of call each is, and which fields of the request identify
//! what it is about.

/// What sort of call a method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads the node's state; clients poll these.
    Reads,
    /// Works inside a container or pod: a failure is often the fault of the program there.
    Enters,
    /// Changes the node's state.
    Changes,
    /// Changes it with data from another machine: a failure is often that machine's fault.
    Fetches,
    /// A stream that stays open until its client closes it.
    Watches,
}

/// A field of the span, and the path of field numbers that leads to its value in a request.
pub type Field = (&'static str, &'static [u64]);

/// One row of the table.
#[derive(Debug)]
struct Row {
    name: &'static str,
    kind: Kind,
    fields: &'static [Field],
}

/// A known method, or "other" for every unknown one, so that a client cannot create labels by making up names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(u8);

/// The number of methods, "other" included.
pub const METHODS: usize = TABLE.len();
/// The paths of our services.
const SERVICES: [&str; 5] = [
    "/runtime.v1.RuntimeService/",
    "/runtime.v1.ImageService/",
    "/gorae.v1.Images/",
    "/gorae.v1.Networks/",
    "/gorae.v1.Pods/",
];

const POD: &[Field] = &[("pod", &[1])];
const CONTAINER: &[Field] = &[("container", &[1])];
const NETWORK: &[Field] = &[("network", &[1])];
const IMAGE: &[Field] = &[("image", &[1, 1])];
const POD_FILTER: &[Field] = &[("pod", &[1, 1])];
const CONTAINERS_FILTER: &[Field] = &[("container", &[1, 1]), ("pod", &[1, 3])];
const STATS_FILTER: &[Field] = &[("container", &[1, 1]), ("pod", &[1, 2])];
const IMAGE_FILTER: &[Field] = &[("image", &[1, 1, 1])];

/// Sorted by name, except for the last row.
static TABLE: [Row; 54] = [
    row("Attach", Kind::Enters, CONTAINER),
    row("CheckpointContainer", Kind::Changes, CONTAINER),
    row("CheckpointPod", Kind::Changes, POD),
    row("ConnectNetwork", Kind::Changes, POD),
    row("ContainerStats", Kind::Reads, CONTAINER),
    row("ContainerStatus", Kind::Reads, CONTAINER),
    row("CreateContainer", Kind::Changes, &[("pod", &[1]), ("container", &[2, 1, 1]), ("image", &[2, 2, 1])]),
    row("CreateNetwork", Kind::Changes, NETWORK),
    row("DisconnectNetwork", Kind::Changes, &[("pod", &[1]), ("network", &[2])]),
    row("Exec", Kind::Enters, CONTAINER),
    row("ExecSync", Kind::Enters, CONTAINER),
    row("GetContainerEvents", Kind::Watches, &[]),
    row("ImageFsInfo", Kind::Reads, &[]),
    row("ImageStatus", Kind::Reads, IMAGE),
    row("ListContainerStats", Kind::Reads, STATS_FILTER),
    row("ListContainers", Kind::Reads, CONTAINERS_FILTER),
    row("ListImages", Kind::Reads, IMAGE_FILTER),
    row("ListMetricDescriptors", Kind::Reads, &[]),
    row("ListNetworks", Kind::Reads, NETWORK),
    row("ListPodSandbox", Kind::Reads, POD_FILTER),
    row("ListPodSandboxMetrics", Kind::Reads, &[]),
    row("ListPodSandboxStats", Kind::Reads, POD_FILTER),
    row("PodNetwork", Kind::Reads, POD),
    row("PodSandboxStats", Kind::Reads, POD),
    row("PodSandboxStatus", Kind::Reads, POD),
    row("PortForward", Kind::Enters, POD),
    row("PruneNetworks", Kind::Changes, &[]),
    row("PullImage", Kind::Fetches, &[("image", &[1, 1]), ("pod", &[3, 1, 1])]),
    row("PullProgress", Kind::Watches, &[("image", &[1])]),
    row("RemoveContainer", Kind::Changes, CONTAINER),
    row("RemoveImage", Kind::Changes, IMAGE),
    row("RemoveImageName", Kind::Changes, &[("image", &[1])]),
    row("RemoveNetwork", Kind::Changes, NETWORK),
    row("RemovePodSandbox", Kind::Changes, POD),
    row("ReopenContainerLog", Kind::Changes, CONTAINER),
    row("RestorePod", Kind::Changes, &[("namespace", &[2, 1, 3]), ("pod", &[2, 1, 1])]),
    row("RunPod", Kind::Changes, &[("namespace", &[1, 1, 3]), ("pod", &[1, 1, 1])]),
    row("RunPodSandbox", Kind::Changes, &[("namespace", &[1, 1, 3]), ("pod", &[1, 1, 1])]),
    row("RuntimeConfig", Kind::Reads, &[]),
    row("StartContainer", Kind::Changes, CONTAINER),
    row("Status", Kind::Reads, &[]),
    row("StopContainer", Kind::Changes, CONTAINER),
    row("StopPodSandbox", Kind::Changes, POD),
    row("StreamContainerStats", Kind::Reads, STATS_FILTER),
    row("StreamContainers", Kind::Reads, CONTAINERS_FILTER),
    row("StreamImages", Kind::Reads, IMAGE_FILTER),
    row("StreamPodSandboxMetrics", Kind::Reads, &[]),
    row("StreamPodSandboxStats", Kind::Reads, POD_FILTER),
    row("StreamPodSandboxes", Kind::Reads, POD_FILTER),
    row("UpdateContainerResources", Kind::Changes, CONTAINER),
    row("UpdatePodSandboxResources", Kind::Changes, POD),
    row("UpdateRuntimeConfig", Kind::Changes, &[]),
    row("Version", Kind::Reads, &[]),
    row("other", Kind::Reads, &[]),
];

const fn row(name: &'static str, kind: Kind, fields: &'static [Field]) -> Row {
    Row { name, kind, fields }
}

impl Method {
    /// The method for a request's path, such as `/runtime.v1.RuntimeService/Version`.
    pub fn of_path(path: &str) -> Self {
        let name = SERVICES.iter().find_map(|service| path.strip_prefix(service)).unwrap_or_default();
        let known = TABLE[..METHODS - 1].binary_search_by(|row| row.name.cmp(name));
        // The table is short enough for the index to fit.
        Self(u8::try_from(known.unwrap_or(METHODS - 1)).unwrap_or(u8::MAX))
    }

    /// Every method, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).take(METHODS).map(Self)
    }

    /// Its position in [`Self::all`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    fn row(self) -> &'static Row {
        &TABLE[self.index()]
    }

    /// Its name; "other" for an unknown method.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is a method of one of our services.
    pub fn is_known(self) -> bool {
        self.index() + 1 < METHODS
    }

    /// What sort of call it is.
    pub fn kind(self) -> Kind {
        self.row().kind
    }

    /// The fields of its request that identify what the call is about.
    pub fn fields(self) -> &'static [Field] {
        self.row().fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names after `rpc` in a service's definition.
    fn defined(proto: &str) -> Vec<&str> {
        proto.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split(['(', ' ']).next()).collect()
    }

    #[test]
    fn the_table_has_every_method_of_the_services_and_nothing_else() {
        let cri = include_str!("../../../proto/proto/api.proto");
        let node = include_str!("../../../proto/proto/gorae.proto");
        let mut defined: Vec<&str> = [defined(cri), defined(node)].concat();
        defined.sort_unstable();
        let known: Vec<&str> = Method::all().filter(|m| m.is_known()).map(Method::name).collect();
        assert_eq!(known, defined);
    }

    #[test]
    fn a_path_is_a_method_only_with_one_of_our_services() {
        for (path, name) in [
            ("/runtime.v1.RuntimeService/Version", "Version"),
            ("/runtime.v1.ImageService/PullImage", "PullImage"),
            ("/gorae.v1.Images/PullProgress", "PullProgress"),
            ("/runtime.v1.RuntimeService/Made-up", "other"),
            ("/runtime.v1alpha2.RuntimeService/Version", "other"),
            ("/Version", "other"),
            ("", "other"),
        ] {
            assert_eq!(Method::of_path(path).name(), name, "{path}");
        }
        assert!(Method::all().all(|method| method.index() < METHODS));
    }
}
