// SPDX-License-Identifier: Apache-2.0
//! Valid and invalid manifests and indexes.

use crate::manifest::choose::choose;
use crate::manifest::document::{Descriptor, Document, IndexEntry};
use crate::manifest::error::Error;
use crate::manifest::media_types::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, SCHEMA_1, SCHEMA_1_SIGNED};
use crate::manifest::read::{MAX_CONFIG, read};
use crate::platform::Platform;
use crate::shown::shown;
use gorae_digest::Digest;

fn d(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

fn entry(os: &str, architecture: &str, variant: &str) -> IndexEntry {
    let platform = Some(Platform { os: os.into(), architecture: architecture.into(), variant: variant.into() });
    let text = format!("{os}{architecture}{variant}");
    IndexEntry {
        descriptor: Descriptor { media_type: OCI_MANIFEST.into(), digest: Digest::of(text.as_bytes()), size: 1 },
        platform,
    }
}

fn wanted(architecture: &str, variant: &str) -> Platform {
    Platform { os: "linux".into(), architecture: architecture.into(), variant: variant.into() }
}

#[test]
fn a_manifest_and_an_index_are_told_apart() {
    let config = format!("{{\"mediaType\":\"{OCI_CONFIG}\",\"digest\":\"{}\",\"size\":2}}", d("c"));
    let manifest = format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[]}}");
    assert!(matches!(read("x", "", manifest.as_bytes()), Ok(Document::Manifest(_))));
    let index = format!("{{\"schemaVersion\":2,\"manifests\":[{{\"digest\":\"{}\",\"size\":3}}]}}", d("m"));
    assert!(matches!(read("x", OCI_INDEX, index.as_bytes()), Ok(Document::Index(e)) if e.len() == 1));
    let both = format!("{{\"config\":{config},\"layers\":[],\"manifests\":[]}}");
    for (content_type, bad) in [
        ("", both.as_str()),
        (OCI_MANIFEST, &index),
        (OCI_INDEX, &manifest),
        ("", "{}"),
        ("", "[]"),
        ("", "{\"schemaVersion\":1}"),
        ("", "{\"manifests\":[{\"digest\":\"x\",\"size\":1}]}"),
        ("", "{\"manifests\":[{\"digest\":\"x\",\"size\":-1}]}"),
    ] {
        assert!(read("x", content_type, bad.as_bytes()).is_err(), "{bad}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read("x", "", deep.as_bytes()).is_err());
}

#[test]
fn what_is_no_image_is_refused_by_name() {
    let manifest = |media: &str, size: u64| {
        let config = format!("{{\"mediaType\":\"{media}\",\"digest\":\"{}\",\"size\":{size}}}", d("c"));
        read("x", "", format!("{{\"config\":{config},\"layers\":[]}}").as_bytes())
    };
    assert!(matches!(manifest("application/vnd.cncf.helm.config.v1+json", 5), Err(Error::Unsupported { .. })));
    assert!(matches!(manifest(OCI_CONFIG, 0), Err(Error::Invalid { .. })));
    assert!(matches!(manifest(OCI_CONFIG, MAX_CONFIG + 1), Err(Error::Invalid { .. })));
}

#[test]
fn an_error_quotes_little_of_what_it_is_about() {
    let long = format!("{{\"schemaVersion\":\"{}\"}}", "two ".repeat(100_000));
    let text = read("x", "", long.as_bytes()).unwrap_err().to_string();
    assert!(text.len() < 300 && text.contains("invalid type") && text.ends_with("line 1 column 400019"), "{text}");
    assert_eq!(shown("short\n"), "short");
}

#[test]
fn the_platform_decides_and_variants_fall_back_to_older_ones() {
    let entries = [
        entry("windows", "amd64", ""),
        entry("linux", "arm", "v6"),
        entry("linux", "arm", "v7"),
        entry("linux", "arm64", "v8"),
        entry("linux", "amd64", ""),
        entry("linux", "amd64", "v3"),
    ];
    let chosen =
        |platform: &Platform| choose("x", &entries, platform).map(|best| best[0].platform.clone().unwrap().to_string());
    assert_eq!(chosen(&wanted("amd64", "")).unwrap(), "linux/amd64");
    assert_eq!(chosen(&wanted("arm64", "v8")).unwrap(), "linux/arm64/v8");
    assert_eq!(chosen(&wanted("arm64", "")).unwrap(), "linux/arm64/v8");
    assert_eq!(chosen(&wanted("arm", "v7")).unwrap(), "linux/arm/v7");
    assert_eq!(chosen(&wanted("arm", "v8")).unwrap(), "linux/arm/v7");
    let spelled = [entry("linux", "x86_64", "v1"), entry("Linux", "aarch64", "v8"), entry("linux", "armhf", "")];
    for (node, place) in [("amd64", 0), ("arm64", 1), ("arm", 2)] {
        let best = choose("x", &spelled, &wanted(node, "")).unwrap();
        assert_eq!(best[0].descriptor, spelled[place].descriptor, "{node}");
    }
    let none = chosen(&wanted("s390x", "")).unwrap_err().to_string();
    assert!(none.contains("linux/s390x") && none.contains("linux/arm/v6"), "{none}");
}

#[test]
fn attestations_in_an_index_are_never_chosen() {
    let entries = [entry("unknown", "unknown", ""), entry("linux", "amd64", "")];
    let chosen = choose("x", &entries, &wanted("amd64", "")).unwrap();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].platform.as_ref().unwrap().os, "linux");
}

#[test]
fn null_and_absent_are_empty_in_manifests_and_indexes() {
    let (c, m) = (d("c"), d("m"));
    let config = format!("{{\"mediaType\":\"{OCI_CONFIG}\",\"digest\":\"{c}\",\"size\":2}}");
    for rest in ["", ",\"layers\":null", ",\"layers\":[],\"manifests\":null,\"mediaType\":null,\"annotations\":null"] {
        let text = format!("{{\"schemaVersion\":2,\"config\":{config}{rest}}}");
        let read = read("x", OCI_MANIFEST, text.as_bytes());
        assert!(matches!(&read, Ok(Document::Manifest(m)) if m.layers.is_empty()), "{rest}: {read:?}");
    }
    for platform in ["null", "{}", "{\"os\":null,\"architecture\":null,\"variant\":null}"] {
        let entry = format!("{{\"mediaType\":null,\"digest\":\"{m}\",\"size\":3,\"platform\":{platform}}}");
        let text = format!("{{\"schemaVersion\":2,\"config\":null,\"layers\":null,\"manifests\":[{entry}]}}");
        let Ok(Document::Index(entries)) = read("x", OCI_INDEX, text.as_bytes()) else { panic!("{text}") };
        assert_eq!(entries[0].platform, None, "{platform}");
        assert_eq!(choose("x", &entries, &wanted("amd64", "")).unwrap().len(), 1);
    }
    let none = read("x", OCI_INDEX, b"{\"schemaVersion\":2,\"manifests\":null}");
    assert!(matches!(none, Ok(Document::Index(entries)) if entries.is_empty()));
}

#[test]
fn a_key_in_another_case_does_not_hide_that_a_document_is_both() {
    let config = format!("{{\"mediaType\":\"{OCI_CONFIG}\",\"Digest\":\"{}\",\"SIZE\":2}}", d("c"));
    let manifest = format!("{{\"Config\":{config},\"LAYERS\":[]}}");
    assert!(matches!(read("x", "", manifest.as_bytes()), Ok(Document::Manifest(m)) if m.config.size == 2));
    let both = format!("{{\"config\":{config},\"layers\":[],\"Manifests\":[{config}]}}");
    assert!(read("x", "", both.as_bytes()).is_err());
}

#[test]
fn schema_1_is_refused_by_its_name_however_it_comes() {
    let signed = "{\"name\":\"a\",\"fsLayers\":[{\"blobSum\":\"x\"}],\"signatures\":[{}]}";
    for (content_type, body) in [
        (SCHEMA_1, "{}"),
        (SCHEMA_1_SIGNED, "not even JSON"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8", "{}"),
        ("application/json", "{\"schemaVersion\":1}"),
        ("application/json", signed),
        ("", &format!("{{\"schemaVersion\":2,\"mediaType\":\"{SCHEMA_1}\"}}")),
    ] {
        let error = read("x", content_type, body.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{content_type} {body}: {error}");
        assert!(error.to_string().contains("Docker schema 1"), "{error}");
    }
    let mut old = entry("linux", "amd64", "");
    old.descriptor.media_type = SCHEMA_1_SIGNED.into();
    let error = choose("x", &[old], &wanted("amd64", "")).unwrap_err();
    assert!(error.to_string().contains("Docker schema 1"), "{error}");
}
