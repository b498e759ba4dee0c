// SPDX-License-Identifier: Apache-2.0
//! The daemon from start to shutdown: open its state, serve the socket, finish interrupted work in the background, and
//! shut down within a deadline.

use crate::admin::{self, Counters};
use crate::config::Config;
use crate::cri::{Losses, MAX_MESSAGE, Runtime};
use crate::health::checks::{Bound, check_executable};
use crate::log::Log;
use crate::rpc;
use crate::rpc::clients::Clients;
use crate::sessions::Sessions;
use gorae_cgroups as cgroups;
use gorae_cgroups::Hierarchies;
use gorae_image_service::{self as images, Images};
use gorae_network::Network;
use gorae_node::error::{Error, Kind, Result};
use gorae_node::machine::Machine;
use gorae_node::node::Node;
use gorae_node::places::Places;
use gorae_node::{open_files, reconcile, recover};
use gorae_proto::cri::{image_service_server::ImageServiceServer, runtime_service_server::RuntimeServiceServer};
use gorae_proto::gorae::images_server::ImagesServer;
use gorae_proto::shim::CgroupLayout;
use gorae_shims::{DevicePrograms, Spawner, mount_cgroups};
use gorae_streaming as streaming;
use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::watch;

/// How long requests in flight may take once shutdown was requested.
const DRAIN: Duration = Duration::from_secs(3);

/// Opens everything and serves until `stop` becomes true. Operators may change the level of `log`.
///
/// # Errors
/// What keeps the daemon from starting or serving, and what to do about it.
pub async fn run(config: Config, log: Log, stop: watch::Receiver<bool>) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::precondition("run goraed as root: only root can create containers"));
    }
    let places = Places { root: config.root.clone(), state: config.state.clone() };
    places.prepare()?;
    let _locks = own_directories(&places)?;
    let _socket_lock = own_socket(&config.socket)?;
    check_executable(&config.shim).map_err(Error::precondition)?;
    let (node, found) = open(&config, places).await?;
    found.fill(&node);
    let streaming = Arc::new(start_streaming(&config, &node).await?);
    let (listener, bound) = listen(&config.socket)?;
    let counters = Counters {
        measures: Arc::default(),
        clients: Clients::new(rpc::clients::Bounds::default()),
        losses: Losses::default(),
    };
    let operators = admin::Listener::bind(&config.admin).await?;
    let sources = || admin::Sources::new(node.clone(), &config, counters.clone(), bound, log);
    let operators = operators.map(|listener| admin::Server::start(listener, sources()));
    tracing::info!(socket = %config.socket.display(), pods = node.objects.pods.len(), "serving");
    let of = node.clone();
    let settling = tokio::spawn(async move {
        recover::settle(of.clone(), found).await;
        reconcile::run(of).await;
    });
    serve(&config, &node, &streaming, listener, &counters, stop).await?;
    drop(operators);
    streaming.shutdown().await;
    settling.abort();
    shut_down(&config, &node).await;
    Ok(())
}

async fn open(config: &Config, places: Places) -> Result<(Arc<Node>, recover::Found)> {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|e| Error::io("read", Path::new("/proc/sys/kernel/random/boot_id"), &e))?;
    let boot_id = boot_id.trim().to_owned();
    let layout = cgroups::probe().map_err(|e| Error::internal(e.to_string()))?;
    let found = recover::read(&places, &boot_id)?;
    let spawner = Spawner::open(config.shim.clone()).await?;
    let hierarchies = Arc::new(open_hierarchies(&spawner, &layout).await?);
    let network = Network::open(config.network.clone(), &places.root, &found.live_pods()).await?;
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
    let node = Node::new(config.settings(), machine, images, network);
    Ok((node, found))
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

/// Locks the root directory and the state directory, so that each has only one daemon. Two daemons would clean up each
/// other's work and take turns overwriting the same network table. Must come before anything in them is read.
fn own_directories(places: &Places) -> Result<[File; 2]> {
    let root = lock(&places.root.join("lock"), &places.root, "pass a different --root")?;
    let state = lock(&places.state.join("lock"), &places.state, "pass a different --state")?;
    Ok([root, state])
}

/// How long to wait for the locks of a killed daemon: the kernel releases them only once its last thread has exited.
const DYING: Duration = Duration::from_secs(2);

/// Locks a file for as long as it is open. Any process that can open the file can hold the lock, so its mode admits
/// only root: no other user may keep a daemon from starting.
fn lock(path: &Path, object: &Path, hint: &str) -> Result<File> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|e| Error::io("create", path, &e))?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(|e| Error::io("restrict", path, &e))?;
    let patience = Instant::now() + DYING;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < patience => std::thread::sleep(DYING / 100),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let why = format!("another goraed uses {}; stop it or {hint}", object.display());
                return Err(Error::new(Kind::AlreadyExists, why));
            }
            Err(errno) => return Err(Error::io("lock", path, &errno.into())),
        }
    }
}

/// Makes sure that no other process serves the socket, because binding it would take that server's clients away. A lock
/// file next to the socket excludes another goraed; a trial connection detects any other program.
fn own_socket(socket: &Path) -> Result<File> {
    if let Some(dir) = socket.parent() {
        gorae_node::records::make_dir(dir)?;
    }
    let mut lock_path = socket.as_os_str().to_owned();
    lock_path.push(".lock");
    let file = lock(Path::new(&lock_path), socket, "pass a different --listen")?;
    let patience = Instant::now() + DYING;
    while is_served(socket).map_err(|e| Error::io("check for a listener on", socket, &e.into()))? {
        if Instant::now() < patience {
            std::thread::sleep(DYING / 100);
            continue;
        }
        let why = format!("another program listens on {}; stop it or pass a different --listen", socket.display());
        return Err(Error::new(Kind::AlreadyExists, why));
    }
    Ok(file)
}

/// Whether a process listens on a socket, even one that does not accept connections. Never blocks.
fn is_served(socket: &Path) -> rustix::io::Result<bool> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&probe, &SocketAddrUnix::new(socket)?) {
        // EAGAIN: the listener's backlog is full.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(true),
        Err(_) => Ok(false),
    }
}

fn listen(socket: &Path) -> Result<(UnixListener, Bound)> {
    // [`own_socket`] has checked that no process listens there.
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove old socket", socket, &e)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(|e| Error::io("listen on", socket, &e))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))
        .map_err(|e| Error::io("restrict socket", socket, &e))?;
    let bound = Bound::new(socket).map_err(|e| Error::io("stat socket", socket, &e))?;
    Ok((listener, bound))
}

async fn start_streaming(config: &Config, node: &Arc<Node>) -> Result<streaming::Server> {
    let (bind, tls) = (config.streaming.address, config.streaming.tls.clone());
    let own = streaming::Config { bind, tls, ..streaming::Config::default() };
    let server = streaming::Server::start(own, Arc::new(Sessions::new(node.clone()))).await;
    server.map_err(|e| Error::internal(format!("start the streaming server: {e}")))
}

async fn serve(
    config: &Config,
    node: &Arc<Node>,
    streaming: &Arc<streaming::Server>,
    listener: UnixListener,
    counters: &Counters,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let runtime = Runtime::new(node.clone(), streaming.clone(), config.socket.clone(), counters.losses.clone());
    let runtime = RuntimeServiceServer::new(runtime)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let image = ImageServiceServer::new(images::Service(node.images.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let own = ImagesServer::new(images::ProgressService(node.images.clone()));
    let mut asked = stop.clone();
    let server = tonic::transport::Server::builder()
        .initial_connection_window_size(1 << 20)
        .max_concurrent_streams(rpc::STREAMS)
        .layer(rpc::Calls::new(counters.measures.clone()))
        .add_service(runtime)
        .add_service(image)
        .add_service(own)
        .serve_with_incoming_shutdown(rpc::connections(listener, counters.clients.clone()), async move {
            let _ = asked.wait_for(|&s| s).await;
        });
    tokio::pin!(server);
    let finished = tokio::select! {
        result = &mut server => Some(result),
        _ = stop.wait_for(|&s| s) => None,
    };
    // An open event stream would hold up a graceful shutdown indefinitely.
    let finished = match finished {
        Some(result) => result,
        None => match tokio::time::timeout(DRAIN, &mut server).await {
            Ok(result) => result,
            Err(_) => {
                tracing::info!("closing the streams that are still open");
                return Ok(());
            }
        },
    };
    finished.map_err(|e| Error::internal(format!("serve {}: {e}", config.socket.display())))
}

async fn shut_down(config: &Config, node: &Arc<Node>) {
    let _ = std::fs::remove_file(&config.socket);
    if !node.objects.pods.is_empty() {
        return;
    }
    match tokio::time::timeout(Duration::from_secs(1), node.network.remove_if_unused()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot remove the unused bridge"),
        Err(_) => tracing::warn!("removing the unused bridge timed out"),
    }
    cgroups::remove_default_parent(&node.machine.hierarchies);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Overrides};

    #[test]
    fn the_defaults_for_pulls_are_those_in_the_sample_configuration() {
        let config = image_config(&config::load(None, &Overrides::default()).expect("defaults"));
        let sample = include_str!("../../deploy/config.toml");
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
