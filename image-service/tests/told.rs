// SPDX-License-Identifier: Apache-2.0
//! What is logged, and what is reported to clients that follow a pull.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::Node;
use fixture::image::{Flavour, Image, Packing, image, layer};
use fixture::odd::Odd;
use gorae_image_service::Images;
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings of this process, one per line.
struct Log(&'static Mutex<Vec<String>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The warnings so far that contain this word; the tests of this file share one log.
fn warnings(word: &str) -> Vec<String> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Log(&LINES)).unwrap());
    LINES.lock().unwrap().iter().filter(|line| line.contains(word)).cloned().collect()
}

fn small(content: &[u8]) -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", content)])])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_for_a_registry_is_one_warning_and_shows_to_who_follows_the_pull() {
    assert!(warnings("slow.test").is_empty());
    let made = small(b"slow");
    let server = Odd::serve(&[("1", &made)], |asked, _| {
        if asked.path.contains("/manifests/") {
            std::thread::sleep(Duration::from_millis(1500));
        }
        None
    })
    .await;
    let node = Node::with(|c| (c.slow_after, c.stall_timeout) = (Duration::from_millis(400), Duration::from_secs(60)));
    node.hosts("slow.test", &format!("server = \"http://{}\"\n", server.address));
    let mut watch = node.images.progress("slow.test/r:1").unwrap();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(progress) = watch.next().await {
            seen.push(progress.waiting);
        }
        seen
    });
    node.images.pull("slow.test/r:1", None).await.unwrap();
    let seen = watching.await.unwrap();
    let long: Vec<_> = seen.iter().flatten().collect();
    assert!(!long.is_empty() && seen.first() == Some(&None) && seen.last() == Some(&None), "{seen:?}");
    let words = format!("waiting for {} for ", server.address);
    assert!(long.iter().all(|w| w.starts_with(&words) && w.ends_with("manifest 1 of slow.test/r")), "{seen:?}");
    let told = warnings("slow.test");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&server.address) && told[0].contains("waiting for a registry"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_cannot_be_reached_is_one_warning() {
    assert!(warnings("dead-mirror.test").is_empty());
    let server = Odd::serve(&[("1", &small(b"mirrored"))], |_, _| None).await;
    let node = Node::new();
    node.hosts("dead-mirror.test", &format!("server = \"http://{}\"\n[host.\"http://127.0.0.1:1\"]\n", server.address));
    node.images.pull("dead-mirror.test/r:1", None).await.unwrap();
    let told = warnings("dead-mirror.test");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("127.0.0.1:1") && told[0].contains("tried last"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_of_hosts_toml_is_a_warning_with_file_and_key_and_the_pull_goes_on() {
    assert!(warnings("keys.test").is_empty());
    let made = small(b"keys");
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let node = Node::new();
    let text = format!(
        "server = \"http://{0}\"\nnovelty = \"s3cret\"\n[host.\"http://{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n\
         dial_timeout = \"200ms\"\nbrand_new = [\"s3cret\"]\n",
        server.address
    );
    node.hosts("keys.test", &text);
    node.images.pull("keys.test/r:1", None).await.unwrap();
    let told = warnings("keys.test/hosts.toml");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|line| line.contains("brand_new")) && told.iter().any(|line| line.contains("novelty")));
    assert!(warnings("s3cret").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lost_a_layer_is_a_warning_with_its_names() {
    assert!(warnings("lost.test").is_empty());
    let made = small(b"lost");
    let server = Odd::serve(&[("1", &made)], |_, _| None).await;
    let node = Node::new();
    node.hosts("lost.test", &format!("server = \"http://{}\"\n", server.address));
    node.images.pull("lost.test/r:1", None).await.unwrap();
    let Node { dir, images } = node;
    let config = images.config().clone();
    drop(images);
    std::fs::remove_dir_all(dir.path().join("images/layers").join(format!("sha256-{}", made.layers[0].diff_id.hex())))
        .unwrap();
    drop(Images::open(config).unwrap());
    let told = warnings("lost.test/r:1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&made.id.to_string()) && told[0].contains("pulled again"), "{told:?}");
}
