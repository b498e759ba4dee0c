// SPDX-License-Identifier: Apache-2.0
//! Registry hosts that cannot be reached: the cost, and the errors.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::Node;
use fixture::image::{Flavour, Image, Packing, image, layer};
use fixture::odd::{Answer, Odd};
use gorae_image_service::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How long to wait for a host that does not respond.
const PATIENCE: Duration = Duration::from_millis(300);

fn four_layers(seed: &[u8]) -> Image {
    image(Flavour::Oci, (0..4).map(|n| layer(Packing::Gzip, &[("f", &[seed, &[n]].concat())])).collect())
}

/// A host that accepts connections, stays silent on the first `silent` ones, and responds to the rest with 404.
struct Mute {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Mute {
    async fn serve(silent: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if counted.fetch_add(1, Ordering::SeqCst) >= silent {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let nothing = b"HTTP/1.1 404 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(nothing).await;
                }
                kept.push(stream);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn node(pause: Duration) -> Node {
    Node::with(|c| {
        (c.stall_timeout, c.unreached_pause, c.attempts) = (PATIENCE, pause, 2);
    })
}

const LONG: Duration = Duration::from_secs(1000);

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_does_not_answer_is_asked_once_for_all_objects_of_all_pulls() {
    let (one, two) = (four_layers(b"1"), four_layers(b"2"));
    let (mirror, server) = (Mute::serve(usize::MAX).await, Odd::serve(&[("1", &one), ("2", &two)], |_, _| None).await);
    let node = node(LONG);
    let hosts = format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address);
    node.hosts("reg.test", &hosts);
    for tag in ["1", "2", "1"] {
        node.images.pull(&format!("reg.test/r:{tag}"), None).await.unwrap();
        assert_eq!(mirror.asked(), 1, "{tag}");
    }
    // Pulls from another registry know it as well.
    node.hosts("other.test", &hosts);
    node.images.pull("other.test/r:1", None).await.unwrap();
    assert_eq!(mirror.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_again_when_its_time_is_over_and_first_again_when_it_answers() {
    let made = four_layers(b"1");
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let with = |server: &str, mirror: &str| format!("server = \"http://{server}\"\n[host.\"http://{mirror}\"]\n");
    let (short, mirror) = (node(Duration::ZERO), Mute::serve(usize::MAX).await);
    short.hosts("reg.test", &with(&server.address, &mirror.address));
    short.images.pull("reg.test/r:1", None).await.unwrap();
    assert!(mirror.asked() > 1);

    let (node, mirror) = (node(LONG), Mute::serve(1).await);
    node.hosts("reg.test", &with(&server.address, &mirror.address));
    node.images.pull("reg.test/r:1", None).await.unwrap();
    assert_eq!(mirror.asked(), 1);
    // The registry itself cannot be reached now, so the mirror is tried after all, and it responds.
    node.hosts("reg.test", &with("127.0.0.1:1", &mirror.address));
    assert_eq!(node.images.pull("reg.test/r:2", None).await.unwrap_err().kind(), Kind::RegistryUnavailable);
    assert_eq!(mirror.asked(), 2);
    node.hosts("reg.test", &with(&server.address, &mirror.address));
    node.images.pull("reg.test/r:1", None).await.unwrap();
    assert_eq!(mirror.asked(), 3, "first again: one request says that the image is unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_host_can_be_reached_each_is_asked_once_more() {
    let (mirror, server) = (Mute::serve(usize::MAX).await, Mute::serve(usize::MAX).await);
    let node = node(LONG);
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address));
    let pull = async || node.images.pull("reg.test/r:1", None).await.unwrap_err();
    let first = pull().await;
    assert_eq!(first.kind(), Kind::RegistryUnavailable, "{}", first.message());
    assert_eq!(server.asked(), 2, "the registry itself has its attempts");
    let (before, begun) = (mirror.asked(), Instant::now());
    let second = pull().await;
    assert!(second.message().contains(&mirror.address) && second.message().contains(&server.address));
    assert_eq!((mirror.asked(), server.asked()), (before + 1, 3));
    assert!(begun.elapsed() >= PATIENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_not_there_does_not_hide_that_the_registry_has_the_image_not() {
    let server = Odd::serve(&[], |_, _| None).await;
    let (node, mirror) = (node(LONG), Mute::serve(usize::MAX).await);
    node.hosts("reg.test", &format!("server = \"http://{}\"\n[host.\"http://{}\"]\n", server.address, mirror.address));
    for _ in 0..2 {
        let error = node.images.pull("reg.test/r:1", None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.message().starts_with("not found: cannot pull reg.test/r:1: "), "{}", error.message());
    }
    assert_eq!(mirror.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_knows_is_said_first() {
    let node = Node::with(|c| c.attempts = 1);
    let error = node.images.pull("registry.invalid/app:1", None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RegistryUnavailable);
    let text = error.message();
    assert!(text.starts_with("RegistryUnavailable: no such host registry.invalid: cannot pull "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_timeout_of_hosts_toml_ends_the_wait_for_a_mirror() {
    let made = four_layers(b"1");
    let (mirror, server) = (Mute::serve(usize::MAX).await, Odd::serve(&[("1", &made)], |_, _| None).await);
    let node = Node::with(|c| c.stall_timeout = Duration::from_secs(60));
    let hosts = format!(
        "server = \"http://{}\"\n[host.\"https://{}\"]\ndial_timeout = \"200ms\"\n",
        server.address, mirror.address
    );
    node.hosts("reg.test", &hosts);
    let begun = Instant::now();
    node.images.pull("reg.test/r:1", None).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(mirror.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_hosts_toml_is_the_way_to_its_host_and_its_password_is_not_told() {
    let made = four_layers(b"1");
    let content: Vec<(String, Vec<u8>)> = [("manifests/1".to_owned(), made.manifest.bytes.clone())]
        .into_iter()
        .chain(
            made.layers
                .iter()
                .map(|l| &l.blob)
                .chain([&made.config])
                .map(|b| (format!("blobs/{}", b.digest), b.bytes.clone())),
        )
        .collect();
    let proxy = Odd::serve(&[], move |asked, _| {
        let path = asked.path.strip_prefix("http://up.invalid/v2/r/")?;
        let found = content.iter().find(|(known, _)| known == path);
        found.map(|(_, bytes)| Answer::new(200, bytes.clone()))
    })
    .await;
    let node = Node::with(|c| c.attempts = 1);
    node.hosts("reg.test", &format!("server = \"http://up.invalid\"\nproxy = \"http://u:s3cret@{}\"\n", proxy.address));
    node.images.pull("reg.test/r:1", None).await.unwrap();
    assert!(proxy.asked().iter().all(|asked| asked.header("proxy-authorization") == Some("Basic dTpzM2NyZXQ=")));
    node.hosts("reg.test", "server = \"http://127.0.0.1:1\"\nproxy = \"http://u:s3cret@proxy.invalid:1\"\n");
    let text = node.images.pull("reg.test/r:1", None).await.unwrap_err().message();
    assert!(text.contains("its proxy") && !text.contains("s3cret") && !text.contains("no such host 127"), "{text}");
    for scheme in ["http", "https", "socks5"] {
        node.hosts(
            "reg.test",
            &format!("server = \"http://up.invalid\"\nproxy = \"{scheme}://u:s3cret@127.0.0.1:1\"\n"),
        );
        let error = node.images.pull("reg.test/r:1", None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::RegistryUnavailable, "{}", error.message());
        assert!(!format!("{} {error:?}", error.message()).contains("s3cret"), "{error:?}");
    }
}
