// SPDX-License-Identifier: Apache-2.0
//! Images, responses and settings that several tests use.

use crate::fixture::image::{Flavour, Image, Packing, image, layer, noise};
use crate::fixture::odd::{Answer, Odd};
use crate::fixture::{Node, entries};
use base64::Engine as _;
use gorae_proto::cri::AuthConfig;
use std::sync::Arc;
use std::time::Duration;

pub const BIG: usize = 3 << 20;

pub fn big() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("noise", &noise(BIG, 1))])])
}

pub fn small() -> Image {
    image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])])
}

pub fn layer_path(image: &Image) -> String {
    format!("/v2/r/blobs/{}", image.layers[0].blob.digest)
}

pub fn nothing_kept(node: &Node) {
    node.settle();
    assert!(node.images.list().is_empty());
    assert!(node.layers().is_empty());
    for directory in ["images", "names"] {
        assert!(entries(&node.root().join(directory)).is_empty(), "{directory}");
    }
    assert_eq!(node.images.usage().used_bytes, 0);
}

/// A hundred bytes every 20 ms: never silent for long.
pub fn dripping(bytes: &[u8]) -> Answer {
    Answer::new(200, bytes).in_pieces(100, Duration::from_millis(20))
}

/// Configures a node so that each 16 KiB must arrive within half a second.
pub fn hasty(config: &mut gorae_image_service::Config) {
    config.stall_timeout = Duration::from_millis(500);
    config.attempts = 3;
}

pub fn basic() -> AuthConfig {
    AuthConfig { username: "u".into(), password: "marker-password".into(), ..AuthConfig::default() }
}

/// A registry with a token server at `/token`, as public registries have it.
pub async fn with_tokens(made: &Image) -> Odd {
    let own = Arc::new(std::sync::OnceLock::<String>::new());
    let address = Arc::clone(&own);
    let server = Odd::serve(&[("1", made)], move |asked, _| {
        if asked.path.starts_with("/token") {
            let password = base64::engine::general_purpose::STANDARD.encode("u:marker-password");
            let good = asked.header("authorization") == Some(&format!("Basic {password}"))
                || asked.body.contains("refresh_token=marker-refresh&")
                || asked.body.ends_with("refresh_token=marker-refresh");
            return Some(match good {
                true => Answer::new(200, r#"{"token":"t0ken"}"#),
                false => Answer::new(401, r#"{"details":"marker-password is wrong"}"#),
            });
        }
        if asked.header("authorization") == Some("Bearer t0ken") {
            return None;
        }
        let realm = format!("http://{}/token", address.get().unwrap());
        let challenge = format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:r:pull\"");
        Some(Answer::new(401, "").header("www-authenticate", challenge))
    })
    .await;
    own.set(server.address.clone()).unwrap();
    server
}
