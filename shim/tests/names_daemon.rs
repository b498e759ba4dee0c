// SPDX-License-Identifier: Apache-2.0
//! Tests the daemon's calls with the real name server: one daemon starts it, another one finds it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;
mod resolver;

use driver::shim_binary;
use gorae_proto::shim::{NameNetwork, OpenNames, SetNames};
use gorae_shims::{Names, NamesBegin, NamesEnd, Spawner, open_names};
use hickory_proto::rr::RecordType::A;
use pods::{Node, Pod};
use resolver::{ask, network, strings};

/// What a daemon does on one thread, until it is gone with all of its connections.
fn as_a_daemon<T>(work: impl AsyncFnOnce(&Spawner) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { work(&Spawner::by_path(shim_binary())).await })
}

async fn begin(spawner: &Spawner, node: &Node) -> (Names, NamesEnd, NamesBegin) {
    Names::begin(spawner, node.dir.path()).await.unwrap()
}

fn names(address: &str) -> SetNames {
    let networks: Vec<NameNetwork> = vec![network("net", &[("1", &["web"], &[address])])];
    SetNames { networks, ..SetNames::default() }
}

async fn add(spawner: &Spawner, names: &Names, pod: &Pod) {
    let open = OpenNames { netns: pod.pin("net").display().to_string(), port: 0 };
    let (_, sockets) = open_names(spawner, "1", open).await.unwrap();
    names.add("1", &sockets).await.unwrap();
}

/// Kills the name server that listens.
fn kill(node: &Node) {
    let socket = std::os::unix::net::UnixStream::connect(node.dir.path().join("names.sock")).unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&socket).unwrap();
    rustix::process::kill_process(peer.pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_name_server_that_one_daemon_started_is_found_by_the_next_one() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.request.network = None;
    pod.setup();
    as_a_daemon(async |spawner| {
        let (server, _end, begin) = begin(spawner, &node).await;
        assert_eq!(begin, NamesBegin::Started);
        server.set(names("10.0.0.1")).await.unwrap();
        add(spawner, &server, &pod).await;
        assert!(server.set(names("10.0.0")).await.unwrap_err().refused().is_some());
    });
    assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.1"])));
    as_a_daemon(async |spawner| {
        let (server, mut end, begin) = begin(spawner, &node).await;
        assert_eq!(begin, NamesBegin::Found);
        let clients = server.count().await.unwrap().clients;
        assert_eq!(clients.iter().map(|client| client.container_id.as_str()).collect::<Vec<_>>(), ["1"]);
        server.set(names("10.0.0.2")).await.unwrap();
        assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.2"])));
        kill(&node);
        end.gone().await;
        assert!(server.count().await.is_err());
    });
    as_a_daemon(async |spawner| {
        let (server, _end, begin) = begin(spawner, &node).await;
        assert_eq!(begin, NamesBegin::Started);
        server.set(names("10.0.0.3")).await.unwrap();
        add(spawner, &server, &pod).await;
        assert_eq!(ask(&pod, "web", A), (0, strings(&["10.0.0.3"])));
        server.remove("1").await.unwrap();
    });
    kill(&node);
}
