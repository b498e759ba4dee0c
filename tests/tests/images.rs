// SPDX-License-Identifier: Apache-2.0
//! Images: pulling in every form, names and ids, and registries that lie.

use base64::Engine as _;
use gorae_proto::cri::{AuthConfig, PullImageRequest};
use gorae_tests::images::layer::{Packing, Writer};
use gorae_tests::images::programs::TINY as TINY_PROGRAM;
use gorae_tests::images::push::{Form, Image};
use gorae_tests::{Node, TINY, on_a_node, testing};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tar::EntryType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TAGS: [&str; 5] = ["1", "plain", "zstd", "docker", "layers"];

fn tiny(tag: &str) -> String {
    format!("images.gorae.test/gorae/tiny:{tag}")
}

#[test]
fn every_packing_and_form_of_an_image_runs() {
    on_a_node(async |node| {
        let pod = node.pod("forms").run().await;
        for tag in TAGS {
            let container = pod.container(tag).image(&tiny(tag)).args(["echo", tag]).start().await;
            assert_eq!(container.ended().await.exit_code, 0, "{tag}");
            assert_eq!(container.stdout(), [tag]);
        }
    });
}

#[test]
fn upper_layers_hide_and_remove_what_is_below() {
    on_a_node(async |node| {
        let pod = node.pod("layers").run().await;
        let container = pod.container("c").image(&tiny("layers")).start().await;
        let cat = async |path: &str| container.exec(["/tiny", "cat", path]).await;
        assert_eq!(cat("/etc/marker").await.stdout, "upper\n");
        assert_eq!(cat("/data/kept").await.stdout, "y");
        assert_eq!(cat("/data/gone").await.code, 1);
        assert_eq!(cat("/opaque/below").await.code, 1);
        assert_eq!(cat("/opaque/above").await.stdout, "w");
        assert_eq!(cat("/data/.wh.gone").await.code, 1);
        assert_eq!(cat("/opaque/.wh..wh..opq").await.code, 1);
    });
}

#[test]
fn an_image_has_one_id_and_all_its_names() {
    on_a_node(async |node| {
        let cri = node.cri();
        let by_tag = cri.pull(TINY).await.unwrap();
        let image = cri.image(TINY).await.unwrap().expect("it was pulled");
        assert_eq!(image.id, by_tag);
        assert_eq!(image.repo_tags, [TINY]);
        let digest = image.repo_digests[0].clone();
        assert!(digest.starts_with("images.gorae.test/gorae/tiny@sha256:"), "{digest}");
        assert!(image.size > 0 && image.spec.is_some());
        let by_digest = cri.pull(&digest).await.unwrap();
        assert_eq!(by_digest, by_tag);
        for name in [by_tag.as_str(), digest.as_str(), by_tag.trim_start_matches("sha256:")] {
            assert_eq!(cri.image(name).await.unwrap().expect(name).id, by_tag);
        }
        assert_eq!(cri.list_images().await.unwrap().len(), 1);
        cri.remove_image(&by_tag).await.unwrap();
        assert!(cri.image(TINY).await.unwrap().is_none());
        cri.remove_image(&by_tag).await.unwrap();
    });
}

#[test]
fn an_image_that_the_node_has_not_is_no_error_of_status() {
    on_a_node(async |node| {
        assert!(node.cri().image("images.gorae.test/never/pulled:1").await.unwrap().is_none());
        assert!(node.cri().image(&format!("sha256:{}", "0".repeat(64))).await.unwrap().is_none());
    });
}

#[test]
fn many_pulls_of_one_image_at_once_end_with_one_image() {
    on_a_node(async |node| {
        let pulls: Vec<_> = (0..10)
            .map(|_| {
                let cri = node.cri().clone();
                tokio::spawn(async move { cri.pull(TINY).await.unwrap() })
            })
            .collect();
        let mut ids = Vec::new();
        for pull in pulls {
            ids.push(pull.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(node.cri().list_images().await.unwrap().len(), 1);
    });
}

#[test]
fn the_file_system_of_images_is_told_with_and_without_images() {
    on_a_node(async |node| {
        let usage = async || {
            let answer = node.cri().images().image_fs_info(gorae_proto::cri::ImageFsInfoRequest {}).await.unwrap();
            answer.into_inner().image_filesystems.remove(0)
        };
        let empty = usage().await;
        let place = empty.fs_id.clone().expect("it says where").mountpoint;
        assert!(std::path::Path::new(&place).is_dir(), "{place}");
        node.cri().pull(TINY).await.unwrap();
        let full = usage().await;
        assert!(full.used_bytes.unwrap().value > empty.used_bytes.unwrap().value);
        assert!(full.timestamp > 0);
    });
}

#[test]
fn a_container_keeps_running_when_its_image_is_removed() {
    on_a_node(async |node| {
        let pod = node.pod("orphan").run().await;
        let container = pod.container("c").image(TINY).start().await;
        // Refusing is as good as allowing; breaking the container is not.
        let _ = node.cri().remove_image(TINY).await;
        assert_eq!(container.exec(["/tiny", "echo", "alive"]).await.stdout, "alive\n");
        assert!(!container.status().await.image_id.is_empty());
    });
}

#[test]
fn an_image_or_a_registry_that_is_not_there_is_told() {
    on_a_node(async |node| {
        let absent = node.cri().pull(&format!("{}/gorae/absent:1", node.registry().address())).await.unwrap_err();
        assert_eq!(absent.code(), tonic::Code::NotFound, "{absent:?}");
        assert!(absent.message().contains("gorae/absent:1"), "{absent:?}");
        let unreachable = node.cri().pull("127.0.0.1:1/gorae/tiny:1").await.unwrap_err();
        assert!(unreachable.message().starts_with("RegistryUnavailable"), "{unreachable:?}");
        assert_eq!(unreachable.code(), tonic::Code::Unknown);
        for name in
            ["", "images.gorae.test/UPPER/case", "a b", "images.gorae.test/x@sha256:12", "images.gorae.test/../x"]
        {
            let refused = node.cri().pull(name).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{name:?}: {refused:?}");
        }
        assert!(node.cri().list_images().await.unwrap().is_empty());
    });
}

/// What every secret of these tests has in it.
const MARKER: &str = "m4rker-of-a-secret";

/// A registry that asks for a password or a token, takes none, and keeps what it was sent.
struct Unfriendly {
    address: String,
    asked: Arc<Mutex<String>>,
}

impl Unfriendly {
    async fn serve() -> Unfriendly {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address").to_string();
        let unfriendly = Unfriendly { address: address.clone(), asked: Arc::default() };
        let asked = unfriendly.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address.clone(), asked.clone()));
            }
        });
        unfriendly
    }
}

/// One request and its refusal. What is below `/v2/token` has a token server, which says back what it was sent.
async fn answer(mut stream: tokio::net::TcpStream, address: String, asked: Arc<Mutex<String>>) -> std::io::Result<()> {
    let request = request(&mut stream).await?;
    asked.lock().expect("no panic").push_str(&request);
    let lower = request.to_ascii_lowercase();
    let challenge = match request.contains("/v2/token") {
        true => format!("Bearer realm=\"http://{address}/issue\",service=\"s\""),
        false => "Basic realm=\"r\"".to_owned(),
    };
    let signed = format!("see http://x/?sig={MARKER}");
    let body = json!({"errors": [{"code": "DENIED", "message": signed}], "details": request});
    let status = if lower.contains("authorization:") || lower.contains("/issue") { "403" } else { "401" };
    let head = format!("HTTP/1.1 {status} X\r\nwww-authenticate: {challenge}\r\nconnection: close\r\n\r\n");
    let body = if request.starts_with("HEAD") { String::new() } else { body.to_string() };
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

/// A request with its body.
async fn request(stream: &mut tokio::net::TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).await?;
        text += &String::from_utf8_lossy(&bytes[..length]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let wanted = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if length == 0 || body.len() >= wanted.unwrap_or(0) {
            return Ok(text);
        }
    }
}

/// The first file below a directory that holds the marker.
fn marked_file(directory: &Path) -> Option<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().find_map(|entry| {
        let kind = entry.file_type().expect("the file system knows types");
        let holds = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).contains(MARKER);
        match kind.is_dir() {
            true => marked_file(&entry.path()),
            false => (kind.is_file() && holds(&entry.path())).then(|| entry.path()),
        }
    })
}

#[test]
fn credentials_are_in_no_error_no_log_and_no_file() {
    on_a_node(async |node| {
        let registry = Unfriendly::serve().await;
        let encoded = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let secret = |kind: &str| format!("{MARKER}-{kind}");
        let nothing = AuthConfig::default;
        let given = [
            ("password", AuthConfig { username: "u".into(), password: secret("password"), ..nothing() }),
            ("password", AuthConfig { auth: encoded(format!("u:{}", secret("auth"))), ..nothing() }),
            ("password", AuthConfig { auth: secret("no base64 at all"), ..nothing() }),
            ("token", AuthConfig { username: "u".into(), password: secret("password"), ..nothing() }),
            ("token", AuthConfig { identity_token: secret("identity"), ..nothing() }),
            ("token", AuthConfig { registry_token: secret("registry"), ..nothing() }),
            ("token", AuthConfig { registry_token: secret("no\nheader"), ..nothing() }),
        ];
        let mut refused = Vec::new();
        for (kind, auth) in given {
            let image = Some(gorae_tests::cri::spec(&format!("{}/{kind}/image:1", registry.address)));
            let request = PullImageRequest { image, auth: Some(auth), ..Default::default() };
            refused.push(node.cri().images().pull_image(request).await.unwrap_err());
        }
        // Where a URL has them, people put them into names.
        for before in [secret("user"), format!("u:{}", secret("password")), format!("https://u:{}", secret("password"))]
        {
            for name in [format!("{before}@{}/image:1", registry.address), format!("{before}@images.gorae.test/UPPER")]
            {
                let error = node.cri().pull(&name).await.unwrap_err();
                assert_eq!(error.code(), tonic::Code::InvalidArgument, "{error:?}");
                refused.push(error);
            }
        }
        let mut pull = PullImageRequest { image: Some(gorae_tests::cri::spec(TINY)), ..Default::default() };
        pull.auth = Some(AuthConfig { username: secret("user"), password: secret("password"), ..nothing() });
        node.cri().images().pull_image(pull).await.unwrap();
        let pod = node.pod("after").run().await;
        let nobody = format!("u:{}@images.gorae.test/never/pulled:1", secret("password"));
        refused.push(pod.container("none").image(&nobody).create_as_it_is().await.unwrap_err());
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        assert!(!container.info().await.to_string().contains(MARKER));

        let asked = registry.asked.lock().unwrap().clone();
        for form in [encoded(format!("u:{}", secret("password"))), encoded(format!("u:{}", secret("auth")))] {
            assert!(asked.contains(&form), "the registry was never shown them: this shows nothing");
        }
        assert!(asked.contains(&secret("identity")) && asked.contains(&secret("registry")), "as above");
        for error in &refused {
            assert!(!format!("{error:?}").contains(MARKER), "{error:?}");
        }
        let log = node.daemon().log();
        assert!(log.contains("container is running"), "it is the daemon's log");
        assert!(!log.contains(MARKER), "{:?}", log.lines().find(|line| line.contains(MARKER)));
        for directory in [node.daemon().root(), node.daemon().state()] {
            assert_eq!(marked_file(&directory), None);
        }
    });
}

/// One small image of one layer.
fn image_of(name: &str, layer: gorae_tests::images::layer::Layer) -> Image {
    let config = json!({"Entrypoint": ["/tiny"]});
    Image { repository: name.into(), tags: vec!["1".into()], layers: vec![layer], config, form: Form::Oci }
}

/// A pull that must fail, and leave nothing of the image.
async fn refused(node: &Node, name: &str) -> tonic::Status {
    let error = node.cri().pull(&format!("images.gorae.test/{name}:1")).await.expect_err("refused");
    assert!(node.cri().list_images().await.expect("an answer").is_empty());
    // What was unpacked is deleted behind the answer.
    testing::soon("nothing of the image is on disk", async || {
        let kept = ["images", "layers", "names", "temp"].map(|dir| node.daemon().root().join("images").join(dir));
        kept.iter().all(|dir| std::fs::read_dir(dir).expect("the directory is listed").next().is_none()).then_some(())
    })
    .await;
    error
}

/// A pull that must fail because the bytes of the mirror are not what they should be. The registry itself may have the
/// right ones and cannot be asked from here: that is what kubelet is told, and the mirror's fault with it.
async fn refused_for_other_bytes(node: &Node, name: &str, words: &str) {
    let error = refused(node, name).await;
    assert_eq!(error.code(), tonic::Code::Unknown, "{error:?}");
    assert!(error.message().starts_with("RegistryUnavailable: "), "{error:?}");
    assert!(error.message().contains(words), "{error:?}");
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_refused() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let layer = || Writer::default().file("/tiny", 0o755, &TINY_PROGRAM.compile().unwrap()).finish(Packing::Gzip);
        let (spoilt, cut) = (layer(), layer());
        node.registry().client().push(&image_of("spoilt", spoilt.clone())).unwrap();
        let file = node.registry().blob_file(&spoilt.digest);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        refused_for_other_bytes(node, "spoilt", &format!("the manifest says {}", spoilt.digest)).await;
        std::fs::write(&file, &cut.blob[..cut.blob.len() / 2]).unwrap();
        let error = refused(node, "spoilt").await;
        let (half, whole) = (cut.blob.len() / 2, cut.blob.len());
        assert!(error.message().contains(&format!("{half} of {whole} bytes")), "{error:?}");
        // The registry mends itself, and the next pull works.
        std::fs::write(&file, &cut.blob).unwrap();
        node.cri().pull("images.gorae.test/spoilt:1").await.unwrap();
    });
}

#[test]
fn a_tar_that_is_not_what_the_configuration_says_is_refused() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let mut layer = Writer::default().file("/a", 0o644, b"x").finish(Packing::Gzip);
        layer.diff_id = gorae_tests::images::conformance::absent_digest();
        node.registry().client().push(&image_of("diff", layer)).unwrap();
        let error = refused(node, "diff").await;
        assert_eq!(error.code(), tonic::Code::DataLoss, "{error:?}");
        assert!(error.message().contains("diff id"), "{error:?}");
    });
}

#[test]
fn a_configuration_that_is_spoilt_is_refused() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let image = image_of("config", Writer::default().file("/a", 0o644, b"x").finish(Packing::Gzip));
        node.registry().client().push(&image).unwrap();
        let file = node.registry().blob_file(&image.config_digest());
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("/tiny", "/evil")).unwrap();
        refused_for_other_bytes(node, "config", &format!("instead of {}", image.config_digest())).await;
    });
}

/// Layers that try to reach the host, each with its name.
fn hostile_layers(canary: &str) -> Vec<(&'static str, gorae_tests::images::layer::Layer)> {
    let dir = canary.trim_start_matches('/').rsplit_once('/').expect("the canary is in a directory").0.to_owned();
    let up = "../".repeat(12);
    let mut layers = Vec::new();
    let mut add = |name: &'static str, write: &dyn Fn(&mut Writer)| {
        let mut layer = Writer::default();
        write(&mut layer);
        layers.push((name, layer.finish(Packing::Gzip)));
    };
    let evil = b"evil\n".as_slice();
    add("climb", &|l| {
        l.raw(EntryType::Regular, &format!("{up}{}", &canary[1..]), "", evil);
    });
    add("absolute", &|l| {
        l.raw(EntryType::Regular, canary, "", evil);
    });
    add("link-out", &|l| {
        l.raw(EntryType::Symlink, "out", &format!("/{dir}"), b"").raw(EntryType::Regular, "out/canary", "", evil);
    });
    add("relative-link-out", &|l| {
        l.raw(EntryType::Symlink, "out", &format!("{up}{dir}"), b"").raw(EntryType::Regular, "out/canary", "", evil);
    });
    add("hard-link-out", &|l| {
        l.raw(EntryType::Link, "hard", canary, b"").raw(EntryType::Regular, "hard", "", evil);
    });
    add("hard-link-through-link", &|l| {
        l.raw(EntryType::Symlink, "out", &format!("/{dir}"), b"").raw(EntryType::Link, "hard", "out/canary", b"");
        l.raw(EntryType::Regular, "hard", "", evil);
    });
    add("whiteout-through-link", &|l| {
        l.raw(EntryType::Symlink, "out", &format!("/{dir}"), b"").raw(EntryType::Regular, "out/.wh.canary", "", b"");
    });
    add("opaque-through-link", &|l| {
        l.raw(EntryType::Symlink, "out", &format!("/{dir}"), b"");
        l.raw(EntryType::Regular, "out/.wh..wh..opq", "", b"");
    });
    add("whiteout-of-parent", &|l| {
        l.raw(EntryType::Regular, ".wh...", "", b"").raw(EntryType::Regular, ".wh..", "", b"");
    });
    add("mode-through-link", &|l| {
        l.raw(EntryType::Symlink, "out", canary, b"").raw(EntryType::Directory, "out/", "", b"");
    });
    add("device", &|l| {
        l.raw(EntryType::Block, "disk", "", b"").raw(EntryType::Char, "mem", "", b"");
    });
    add("root-is-a-link", &|l| {
        l.raw(EntryType::Symlink, "./", &format!("/{dir}"), b"").raw(EntryType::Regular, "canary", "", evil);
    });
    layers
}

#[test]
fn no_layer_reaches_the_host() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let canary = node.directory("canary").join("canary");
        std::fs::write(&canary, "alive\n").unwrap();
        let mode = std::fs::metadata(&canary).unwrap().permissions();
        let program = Writer::default().file("/tiny", 0o755, &TINY_PROGRAM.compile().unwrap()).finish(Packing::Gzip);
        let pod = node.pod("hostile").run().await;
        for (name, layer) in hostile_layers(canary.to_str().unwrap()) {
            let mut image = image_of(name, layer);
            image.layers.push(program.clone());
            node.registry().client().push(&image).unwrap();
            let full = format!("images.gorae.test/{name}:1");
            // Refused or contained: both are fine. A container of it must not reach out either.
            if node.cri().pull(&full).await.is_ok() {
                let container = pod.container(name).image(&full).args(["cat", "/disk"]).create().await;
                if container.try_start().await.is_ok() {
                    container.ended().await;
                }
                container.remove().await;
            }
            assert_eq!(std::fs::read_to_string(&canary).unwrap_or_default(), "alive\n", "{name}");
            assert_eq!(std::fs::metadata(&canary).unwrap().permissions(), mode, "{name}");
            assert_eq!(std::fs::read_dir(canary.parent().unwrap()).unwrap().count(), 1, "{name}");
        }
    });
}

#[test]
fn a_disk_that_fills_up_during_a_pull_is_told_and_freed() {
    testing::on_a_small_disk(24 << 20, async |node| {
        let noise: Vec<u8> = {
            let mut state = 1u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            };
            (0..30 << 20).map(|_| next()).collect()
        };
        let layer = Writer::default().file("/noise", 0o644, &noise).finish(Packing::Plain);
        node.registry().client().push(&image_of("large", layer)).unwrap();
        let error = refused(node, "large").await;
        assert!(error.message().to_lowercase().contains("no space left"), "{error:?}");
        assert_eq!(error.code(), tonic::Code::ResourceExhausted, "{error:?}");
        let small = Writer::default().file("/tiny", 0o755, &TINY_PROGRAM.compile().unwrap()).finish(Packing::Gzip);
        node.registry().client().push(&image_of("small", small)).unwrap();
        node.cri().pull("images.gorae.test/small:1").await.expect("what the failed pull took is free again");
    });
}

/// The root of a running container, as the node sees it.
async fn root_of(container: &gorae_tests::Container) -> PathBuf {
    let pid = container.info().await["pid"].as_i64().expect("a running container has a pid");
    PathBuf::from(format!("/proc/{pid}/root"))
}

/// Mode and owner, in the node's ids.
fn facts(path: &Path) -> (u32, u32, u32) {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (found.mode() & 0o7777, found.uid(), found.gid())
}

fn users() -> Option<gorae_proto::cri::UserNamespace> {
    use gorae_proto::cri::{IdMapping, NamespaceMode, UserNamespace};
    let map = vec![IdMapping { host_id: 200_000, container_id: 0, length: 65_536 }];
    Some(UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map })
}

/// An image whose upper layer lists none of its directories, and whose `/` is a user's.
async fn owned_image(node: &Node) -> String {
    let lower = Writer::default()
        .root(0o1775, 1000)
        .file("/tiny", 0o755, &TINY_PROGRAM.compile().expect("it compiles"))
        .dir("/tmp", 0o1777, 0)
        .dir("/home/bob", 0o750, 1000)
        .dir("/root", 0o700, 0)
        .finish(Packing::Gzip);
    let upper = Writer::default()
        .raw(EntryType::Regular, "tmp/x", "", b"a")
        .raw(EntryType::Regular, "home/bob/app/run", "", b"b")
        .raw(EntryType::Symlink, "root/link", "x", b"")
        .finish(Packing::Gzip);
    let mut image = image_of("owned", lower);
    image.layers.push(upper);
    node.registry().client().push(&image).expect("pushed");
    node.cri().pull("images.gorae.test/owned:1").await.expect("pulled");
    "images.gorae.test/owned:1".to_owned()
}

#[test]
fn a_layer_with_nothing_but_files_leaves_the_directories_as_they_are() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let image = owned_image(node).await;
        let pod = node.pod("implied").run().await;
        let container = pod.container("c").image(&image).args(["sleep"]).start().await;
        let root = root_of(&container).await;
        assert_eq!(facts(&root.join("tmp")), (0o1777, 0, 0));
        assert_eq!(facts(&root.join("home")), (0o755, 0, 0));
        assert_eq!(facts(&root.join("home/bob")), (0o750, 1000, 1000));
        assert_eq!(facts(&root.join("home/bob/app")), (0o755, 0, 0));
        assert_eq!(facts(&root.join("root")), (0o700, 0, 0));
        assert_eq!(container.exec(["/tiny", "cat", "/tmp/x"]).await.stdout, "a");
    });
}

#[test]
fn the_root_of_a_container_has_the_images_mode_and_owner() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let image = owned_image(node).await;
        let pod = node.pod("root").run().await;
        let container = pod.container("c").image(&image).args(["sleep"]).start().await;
        assert_eq!(facts(&root_of(&container).await), (0o1775, 1000, 1000));
    });
}

#[test]
fn the_images_root_and_directories_are_the_same_in_a_user_namespace() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let image = owned_image(node).await;
        // The node's directory is a test's own, and closed to the users of the namespace.
        let home = node.daemon().root().parent().expect("it is below the test's directory").to_owned();
        std::fs::set_permissions(home, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let options = gorae_proto::cri::NamespaceOption { userns_options: users(), ..Default::default() };
        let same = options.clone();
        let pod = node.pod("mapped").with(|c| {
            let linux = c.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().namespace_options = Some(options);
        });
        let pod = pod.run().await;
        let container = pod.container("c").image(&image).args(["sleep"]);
        let container = container.security(|s| s.namespace_options = Some(same)).start().await;
        let root = root_of(&container).await;
        assert_eq!(facts(&root), (0o1775, 201_000, 201_000));
        assert_eq!(facts(&root.join("home/bob")), (0o750, 201_000, 201_000));
        assert_eq!(facts(&root.join("tmp")), (0o1777, 200_000, 200_000));
    });
}

#[test]
fn a_directory_mounted_on_a_file_is_refused_with_the_reason() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let layer = Writer::default().file("/tiny", 0o755, &TINY_PROGRAM.compile().unwrap()).finish(Packing::Gzip);
        node.registry().client().push(&image_of("plain", layer)).unwrap();
        node.cri().pull("images.gorae.test/plain:1").await.unwrap();
        let pod = node.pod("mounted").run().await;
        let host = node.directory("volume");
        let container = pod.container("c").image("images.gorae.test/plain:1").args(["sleep"]).with(|c| {
            c.mounts.push(gorae_proto::cri::Mount {
                container_path: "/tiny".into(),
                host_path: host.display().to_string(),
                ..Default::default()
            });
        });
        let error = container.create().await.try_start().await.unwrap_err();
        assert!(error.message().contains("is a directory, but the container has a file there"), "{error:?}");
    });
}
