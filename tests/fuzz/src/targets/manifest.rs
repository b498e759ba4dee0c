// SPDX-License-Identifier: Apache-2.0
//! Indexes and manifests. The first byte says which type the registry gives.

use gorae_image_formats::manifest::{self, Document, IndexEntry, MAX_CONFIG, MAX_LAYERS, Manifest};
use gorae_image_formats::platform::{self, Platform};

const TYPES: [&str; 5] = [
    "",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    "text/html",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// An error becomes an event, and the header of an answer.
const LONGEST_ERROR: usize = 2000;

pub fn check(input: &[u8]) {
    let Some((choice, body)) = input.split_first() else { return };
    match manifest::read("it", TYPES[usize::from(*choice) % TYPES.len()], body) {
        Ok(Document::Manifest(manifest)) => one(&manifest),
        Ok(Document::Index(entries)) => several(&entries),
        Err(error) => may_be_shown(&error.to_string()),
    }
}

fn one(manifest: &Manifest) {
    assert!((1..=MAX_CONFIG).contains(&manifest.config.size) && manifest.layers.len() <= MAX_LAYERS);
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        assert_eq!(gorae_digest::Digest::parse(&blob.digest.to_string()).as_ref(), Ok(&blob.digest));
        assert!(!blob.media_type.ends_with("+encrypted"));
    }
}

fn several(entries: &[IndexEntry]) {
    for (architecture, variant) in [("amd64", ""), ("arm", "v7"), ("arm64", "v8")] {
        let wanted =
            Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() };
        match manifest::choose("it", entries, &wanted) {
            Ok(best_first) => {
                let ranks = best_first.iter().map(|e| e.platform.as_ref().map(|p| platform::rank(p, &wanted)));
                let ranks: Vec<_> =
                    ranks.map(|said| said.map_or(u32::MAX, |rank| rank.expect("it was chosen"))).collect();
                assert!(!ranks.is_empty() && ranks.is_sorted(), "{best_first:?} for {wanted}");
            }
            Err(error) => may_be_shown(&error.to_string()),
        }
    }
}

fn may_be_shown(text: &str) {
    assert!(text.len() <= LONGEST_ERROR, "{} bytes: {text:.300}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let digest = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
    let blob =
        |kind: &str, n| format!(r#"{{"mediaType":"application/vnd.{kind}","digest":"{}","size":{n}}}"#, digest(n));
    let config = blob("oci.image.config.v1+json", 7);
    let docker = blob("docker.container.image.v1+json", 9);
    let (gzip, zstd) = (blob("oci.image.layer.v1.tar+gzip", 1), blob("oci.image.layer.v1.tar+zstd", 2));
    let secret = blob("oci.image.layer.v1.tar+gzip+encrypted", 3);
    let entry = |platform: &str, n| {
        let manifest = blob("oci.image.manifest.v1+json", n);
        manifest.replacen('}', &format!(r#","platform":{{{platform}}}}}"#), 1)
    };
    let amd64 = entry(r#""os":"linux","architecture":"amd64""#, 4);
    let arm = entry(r#""os":"linux","architecture":"arm","variant":"v6""#, 5);
    let none = entry(r#""os":"unknown","architecture":"unknown""#, 6);
    let image = |config: &str, layers: &str| format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
    let index = |entries: &str| format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    [
        (0, image(&config, &format!("{gzip},{zstd}"))),
        (2, image(&docker, &gzip)),
        (0, image(&config, &secret)),
        (1, index(&format!("{amd64},{arm},{none}"))),
        (0, index(&format!("{none},{arm}"))),
        (3, index(&blob("docker.distribution.manifest.v2+json", 8))),
        (0, image(&config, "").replacen('}', r#"},"manifests":[]"#, 1)),
        (0, r#"{"schemaVersion":1,"name":"a"}"#.to_owned()),
        (4, r#"{"name":"a","fsLayers":[{}],"signatures":[]}"#.to_owned()),
        (2, image(&config, "null").replace("\"mediaType\"", "\"MEDIATYPE\"")),
        (1, index(&entry(r#""os":null,"architecture":"aarch64","variant":"v8""#, 4).replace(":4", ":-4"))),
        (1, index(&entry(r#""OS":"Linux","architecture":"x86_64","variant":null"#, 4))),
        (0, image(&config, &gzip).replace("sha256:01", "sha512:01")),
        (0, format!(r#"{{"schemaVersion":"{}"}}"#, "two ".repeat(1000))),
    ]
    .map(|(choice, text)| [&[choice], text.as_bytes()].concat())
    .to_vec()
}
