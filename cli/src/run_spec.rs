// SPDX-License-Identifier: Apache-2.0
//! The request of one `run`.

use crate::parse::network::Network;
use crate::parse::user::User;
use gorae_proto::cri;
use gorae_proto::gorae::HostName;
use std::collections::HashMap;

/// One container with its pod, as requested. `run` fills it in two steps: from the command line, then with what only
/// the daemon knows ([`crate::resolving`]).
#[derive(Debug, Clone, Default)]
pub struct RunSpec {
    /// The container's name, and the pod's.
    pub name: String,
    /// The pod's uid, new for each `run`.
    pub uid: String,
    /// The image as typed.
    pub image: String,
    /// The id of that image.
    pub image_id: String,
    /// `--entrypoint`: replaces that of the image; an empty one is ignored.
    pub entrypoint: Option<String>,
    /// The words after the image: they replace the image's command.
    pub args: Vec<String>,
    /// The command as `ps` will show it.
    pub shown_command: String,
    /// `-p`: published ports.
    pub ports: Vec<cri::PortMapping>,
    /// `-v`: host paths shown in the container.
    pub mounts: Vec<cri::Mount>,
    /// `--env-file`, then `-e`; the last value of a variable wins.
    pub variables: Vec<cri::KeyValue>,
    /// `--label`, without Gorae's own labels.
    pub labels: HashMap<String, String>,
    /// `-w`: working directory; empty for the image's.
    pub directory: String,
    /// `-u`: user and group; `None` for the image's.
    pub user: Option<User>,
    /// `--hostname`; `None` to derive it from the name.
    pub hostname: Option<String>,
    /// `--network` and what belongs to it.
    pub network: Network,
    /// The container whose network this one shares; `None` for any other network.
    pub joined: Option<Joined>,
    /// `--dns`, `--dns-search`, `--dns-option`; a list that is empty is the machine's.
    pub dns: cri::DnsConfig,
    /// `--add-host`: names in the hosts file.
    pub hosts: Vec<HostName>,
    /// `--memory` in bytes; `None` for no limit.
    pub memory: Option<i64>,
    /// `--cpus` as microseconds per [`CPU_PERIOD_US`](crate::parse::quantity::CPU_PERIOD_US); `None` for no limit.
    pub cpu_quota: Option<i64>,
    /// `--read-only`: the root file system cannot be written.
    pub read_only: bool,
    /// `--cap-add`: names in the CRI's form.
    pub added: Vec<String>,
    /// `--cap-drop`: names in the CRI's form.
    pub dropped: Vec<String>,
    /// `--privileged`: no confinement.
    pub privileged: bool,
    /// `-i`: standard input stays open.
    pub stdin: bool,
    /// Whether standard input ends for good when this program closes it.
    pub stdin_once: bool,
    /// `-t`: a terminal instead of separate streams.
    pub tty: bool,
    /// The directory in which the pod gets its log directory.
    pub logs: String,
}

/// The container whose network another one shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The id of its pod, which a later start of it replaces.
    pub pod: String,
    /// Its name; its id if the command line did not make it.
    pub container: String,
}
