// SPDX-License-Identifier: Apache-2.0
//! Opens the parts of the daemon: its records, its spawner, its cgroups, its network, its images.

use crate::config::Config;
use crate::sessions::Sessions;
use gorae_attachments::{Attachments, CniNetwork};
use gorae_cgroups as cgroups;
use gorae_cgroups::Hierarchies;
use gorae_image_service::{self as images, Images};
use gorae_network::{Network, Others};
use gorae_node::error::{Error, Result};
use gorae_node::names::NameKeeper;
use gorae_node::networks::{self, Networks};
use gorae_node::{Machine, Node, Places, open_files, recover};
use gorae_proto::shim::CgroupLayout;
use gorae_shims::{DevicePrograms, Spawner, mount_cgroups};
use gorae_streaming as streaming;
use gorae_user_networks::UserNetworks;
use ipnet::IpNet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The directory of the records of networks that people made, below the root.
const NETWORKS: &str = "networks";

/// Opens everything that a node has, and reads what an earlier daemon has left.
pub(super) async fn open(config: &Config, places: Places) -> Result<(Arc<Node>, recover::Found)> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|e| Error::io("read", Path::new("/proc/sys/kernel/random/boot_id"), &e))?;
    let boot_id = boot_id.trim().to_owned();
    gorae_node::pod::netns::prepare()?;
    let layout = cgroups::probe().map_err(|e| Error::internal(e.to_string()))?;
    let found = recover::read(&places, &boot_id)?;
    let spawner = Spawner::open(config.shim.clone()).await?;
    let hierarchies = Arc::new(open_hierarchies(&spawner, &layout).await?);
    let own = OwnSubnets::read(&places)?;
    let live = found.live_pods();
    let builtin = Network::open_beside(own.others(), config.network.clone(), &places.root, &live).await?;
    let attachments = Attachments::open(places.root.join("attachments"), spawner.clone(), boot_id.clone());
    let attachments = attachments.await.map_err(|e| Error::internal(e.to_string()))?;
    attachments.owe_unless(|pod_id| found.is_up(pod_id)).await;
    let cni = CniNetwork::open(config.cni.clone(), attachments).await;
    let default = networks::Default { builtin, cni, mode: config.network_mode, seen: places.root.join("cni-seen") };
    let people = open_people(config, &places, &spawner, &default.builtin, &found).await?;
    own.follow(&people);
    let names = NameKeeper::new(spawner.clone(), places.clone());
    let networks = Networks::new(default, people, names);
    let images = Images::open(image_config(config))?;
    let machine = Machine {
        places,
        layout,
        hierarchies,
        boot_id,
        open_files: open_files::raise(),
        spawner,
        device_programs: DevicePrograms::default(),
    };
    let node = gorae_node::assemble(config.settings(), machine, images, networks);
    Ok((node, found))
}

/// The subnets of networks that people made, which the built-in network does not choose. It is opened before them, so until
/// then their records say which.
struct OwnSubnets {
    recorded: Vec<IpNet>,
    people: Arc<OnceLock<UserNetworks>>,
}

impl OwnSubnets {
    fn read(places: &Places) -> Result<Self> {
        let recorded = UserNetworks::recorded_subnets(&places.root.join(NETWORKS))?;
        Ok(Self { recorded, people: Arc::default() })
    }

    fn others(&self) -> Others {
        let (recorded, people) = (self.recorded.clone(), self.people.clone());
        Others::new(move || people.get().map_or_else(|| recorded.clone(), UserNetworks::subnets))
    }

    fn follow(&self, people: &UserNetworks) {
        // It is set once.
        let _ = self.people.set(people.clone());
    }
}

/// The networks that people made; none of them is given a subnet of the built-in one.
async fn open_people(
    config: &Config,
    places: &Places,
    spawner: &Spawner,
    builtin: &Network,
    found: &recover::Found,
) -> Result<UserNetworks> {
    let builtin = builtin.clone();
    let avoid: Arc<dyn Fn() -> Vec<IpNet> + Send + Sync> = Arc::new(move || builtin.reserved_subnets());
    let (mtu, open_forward) = (config.network.mtu, config.network.open_forward);
    let config = gorae_user_networks::Config { mtu, open_forward, avoid: Some(avoid) };
    Ok(UserNetworks::open(places.root.join(NETWORKS), spawner.clone(), config, &found.in_networks()).await?)
}

async fn open_hierarchies(spawner: &Spawner, layout: &CgroupLayout) -> Result<Hierarchies> {
    let mounts = mount_cgroups(spawner, Hierarchies::mount_points(layout)).await;
    let hint = "mount the cgroup hierarchies again (gorae-shim must be from the same build as goraed)";
    let mounts = mounts.map_err(|e| e.during(hint))?;
    Hierarchies::new(layout, mounts)
        .ok_or_else(|| Error::internal("the shim did not send exactly one mount for each cgroup hierarchy"))
}

fn image_config(config: &Config) -> images::Config {
    let mut image_config = images::Config::new(config.root.join("images"));
    image_config.runtime_handlers = config.handlers.names().to_vec();
    image_config.hosts_dirs.clone_from(&config.images.hosts_dirs);
    image_config.plain_http_hosts.clone_from(&config.images.plain_http);
    image_config.limits.reserve = config.images.reserve;
    if let Some(n) = config.images.parallel_layers {
        image_config.max_parallel_layers = n;
        image_config.max_parallel_layers_total = image_config.max_parallel_layers_total.max(n);
    }
    image_config
}

/// Starts the server that streaming URLs lead to.
pub(super) async fn start_streaming(config: &Config, node: &Arc<Node>) -> Result<streaming::Server> {
    let (bind, tls) = (config.streaming.address, config.streaming.tls.clone());
    let own = streaming::Config { bind, tls, ..streaming::Config::default() };
    let server =
        streaming::Server::start(own, Arc::new(Sessions::new(node.objects.clone(), node.machine.clone()))).await;
    server.map_err(|e| Error::internal(format!("start the streaming server: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Overrides};

    #[test]
    fn the_defaults_for_pulls_are_those_in_the_sample_configuration() {
        let config = image_config(&config::load(None, &Overrides::default()).expect("defaults"));
        let sample = include_str!("../../../deploy/config.toml");
        assert!(sample.contains(&format!("\n#hosts_dirs = {:?}\n", config.hosts_dirs)), "{:?}", config.hosts_dirs);
        assert!(sample.contains("Default: twice the processors, at most 8.\n#parallel_layers"), "{sample}");
        let processors = std::thread::available_parallelism().expect("at least one").get();
        assert_eq!(config.max_parallel_layers, (2 * processors).min(8));
    }

    #[test]
    fn as_many_layers_are_fetched_at_once_as_configured() {
        let mut config = config::load(None, &Overrides::default()).expect("defaults");
        config.images.parallel_layers = Some(64);
        let images = image_config(&config);
        assert_eq!((images.max_parallel_layers, images.max_parallel_layers_total), (64, 64));
    }
}
