// SPDX-License-Identifier: Apache-2.0
//! `gorae network` against a server that has networks and nothing else: what is sent, printed and returned.

use gorae_proto::gorae::networks_server::{Networks, NetworksServer};
use gorae_proto::gorae::*;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;

/// Two networks, and what was asked of them.
#[derive(Debug, Clone, Default)]
struct Fake {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn note(&self, request: &impl std::fmt::Debug) {
        self.asked.lock().expect("no panic").push(format!("{request:?}"));
    }
}

fn network(name: &str, members: &[&str]) -> Network {
    let subnet = SubnetSettings { subnet: "10.1.0.0/24".into(), gateway: "10.1.0.1".into(), ..Default::default() };
    let settings = NetworkSettings { driver: "bridge".into(), subnets: vec![subnet], ..Default::default() };
    let member = |name: &&str| NetworkMember { pod_name: (*name).to_owned(), ..Default::default() };
    Network {
        id: name.bytes().map(|b| format!("{b:02x}")).collect::<String>().repeat(16),
        name: name.into(),
        settings: Some(settings),
        members: members.iter().map(member).collect(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl Networks for Fake {
    async fn create_network(&self, request: Request<CreateNetworkRequest>) -> Reply<CreateNetworkResponse> {
        let request = request.into_inner();
        self.note(&request);
        Ok(Response::new(CreateNetworkResponse { network: Some(network(&request.name, &[])) }))
    }

    async fn list_networks(&self, _: Request<ListNetworksRequest>) -> Reply<ListNetworksResponse> {
        Ok(Response::new(ListNetworksResponse {
            networks: vec![network("back", &["web", "db"]), network("evil\x1b", &[])],
        }))
    }

    async fn remove_network(&self, request: Request<RemoveNetworkRequest>) -> Reply<RemoveNetworkResponse> {
        match request.into_inner().network.as_str() {
            "back" => Err(Status::failed_precondition("remove network back: db and web are in it")),
            "gone" => Err(Status::not_found("no such network")),
            name => Ok(Response::new(RemoveNetworkResponse { name: name.to_owned() })),
        }
    }

    async fn prune_networks(&self, request: Request<PruneNetworksRequest>) -> Reply<PruneNetworksResponse> {
        self.note(&request.into_inner());
        Ok(Response::new(PruneNetworksResponse { names: vec!["old".into()] }))
    }

    async fn connect_network(&self, _: Request<ConnectNetworkRequest>) -> Reply<ConnectNetworkResponse> {
        Err(Status::internal("no container could be found"))
    }

    async fn disconnect_network(&self, _: Request<DisconnectNetworkRequest>) -> Reply<DisconnectNetworkResponse> {
        Err(Status::internal("no container could be found"))
    }
}

/// Runs the body with a server; `gorae` runs the program against it.
async fn on_a_server(body: impl AsyncFnOnce(&Fake, &Path)) {
    let dir = tempfile::tempdir().expect("dir");
    let socket = dir.path().join("gorae.sock");
    let listener = UnixListener::bind(&socket).expect("binds");
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let fake = Fake::default();
    let service = NetworksServer::new(fake.clone());
    let server = tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    body(&fake, &socket).await;
    server.abort();
}

async fn gorae(socket: &Path, words: &str) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gorae"));
    command.args(words.split(' ')).env_clear().env("GORAE_HOST", socket).stdin(std::process::Stdio::null());
    command.output().await.expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_network_is_made_as_asked_and_its_id_printed() {
    on_a_server(async |fake, socket| {
        let made = gorae(socket, "network create --subnet 10.1.0.0/24 --internal -o mtu=1400 lan").await;
        assert_eq!(text(&made.stdout), format!("{}\n", network("lan", &[]).id));
        let asked = fake.asked.lock().expect("no panic").join("\n");
        for part in ["name: \"lan\"", "subnet: \"10.1.0.0/24\"", "internal: true", "driver.mtu\": \"1400\""] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
        let refused = gorae(socket, "network create -d overlay lan").await;
        assert_eq!((refused.status.code(), fake.asked.lock().expect("no panic").len()), (Some(1), 1));
    })
    .await;
}

#[tokio::test]
async fn networks_are_listed_as_a_table_as_ids_and_as_json() {
    on_a_server(async |_, socket| {
        let table = text(&gorae(socket, "network ls").await.stdout);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].join(" "), "NETWORK ID NAME DRIVER SUBNETS CONTAINERS");
        assert_eq!(rows[1], [&network("back", &[]).id[..12], "back", "bridge", "10.1.0.0/24", "2"]);
        assert!(!table.contains('\x1b') && rows[2][1] == "evil\\x1b", "{table}");
        let ids = text(&gorae(socket, "network list -q --no-trunc -f dangling=false").await.stdout);
        assert_eq!(ids, format!("{}\n", network("back", &[]).id));
        let json: serde_json::Value =
            serde_json::from_slice(&gorae(socket, "--format json network ls").await.stdout).expect("JSON");
        assert_eq!(json[0]["containers"], serde_json::json!(["web", "db"]));
    })
    .await;
}

#[tokio::test]
async fn one_network_that_is_used_does_not_keep_another_from_being_removed() {
    on_a_server(async |_, socket| {
        let removed = gorae(socket, "network rm back old").await;
        assert_eq!((removed.status.code(), text(&removed.stdout).as_str()), (Some(1), "old\n"));
        assert_eq!(text(&removed.stderr), "gorae: remove network back: db and web are in it\n");
        assert_eq!(gorae(socket, "network remove gone").await.status.code(), Some(1));
        assert_eq!(gorae(socket, "network rm -f gone").await.status.code(), Some(0));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_pruned_where_nobody_can_be_asked() {
    on_a_server(async |fake, socket| {
        let refused = gorae(socket, "network prune").await;
        assert!(text(&refused.stderr).starts_with("gorae: use -f: "), "{}", text(&refused.stderr));
        assert_eq!((refused.status.code(), fake.asked.lock().expect("no panic").len()), (Some(1), 0));
        let pruned = gorae(socket, "network prune -f --filter label=team=x").await;
        assert_eq!(text(&pruned.stdout), "old\n");
        assert!(fake.asked.lock().expect("no panic")[0].contains("\"team\": \"x\""));
    })
    .await;
}

#[tokio::test]
async fn a_daemon_without_networks_says_so() {
    let dir = tempfile::tempdir().expect("dir");
    let socket = dir.path().join("other.sock");
    let listener = UnixListener::bind(&socket).expect("binds");
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let routes = tonic::service::Routes::default();
    let server = tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
    let listed = gorae(&socket, "network ls").await;
    assert_eq!(listed.status.code(), Some(1));
    assert!(text(&listed.stderr).contains("this daemon does not support it"), "{}", text(&listed.stderr));
    server.abort();
}
