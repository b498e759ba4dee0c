// SPDX-License-Identifier: Apache-2.0
//! Indexes, manifests and configs: OCI and Docker schema 2, read from untrusted bytes into checked values. Pure.

use crate::go_json::{List, go_object};
use crate::platform::{self, Platform};
use gorae_digest::Digest;
use serde::de::IgnoredAny;

/// Largest manifest or index, the limit that registries have.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Largest image config.
pub const MAX_CONFIG: u64 = 8 << 20;
/// Most layers of an image: overlayfs takes 500 lower directories.
pub const MAX_LAYERS: usize = 500;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const IS_SCHEMA_1: &str = "it is a Docker schema 1 manifest; push the image again with a newer client";

/// The `Accept` header for manifests.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Why a document cannot be used. `what` is the document in the caller's words.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not what the specifications describe.
    #[error("{what} cannot be used: {why}")]
    Invalid { what: String, why: String },
    /// The index has no image for this node.
    #[error("{what} has no image for {platform} (it has {available})")]
    NoPlatform { what: String, platform: String, available: String },
    /// Something about the image is not supported here.
    #[error("{what} is not supported: {why}")]
    Unsupported { what: String, why: String },
}

/// A blob or manifest as another manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// As written: it may be empty, or wrong.
    pub media_type: String,
    /// What its bytes hash to.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// The manifest of one image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The image config.
    pub config: Descriptor,
    /// Bottom layer first.
    pub layers: Vec<Descriptor>,
}

/// What a manifest document turned out to be.
#[derive(Debug)]
pub enum Document {
    /// A choice by platform.
    Index(Vec<IndexEntry>),
    /// One image.
    Manifest(Manifest),
}

/// One entry of an index.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// The manifest or index that it leads to.
    pub descriptor: Descriptor,
    /// `None` when the entry says nothing.
    pub platform: Option<Platform>,
}

go_object!(RawDescriptor {
    media_type: String = "mediaType",
    digest: String = "digest",
    size: i64 = "size",
    platform: RawPlatform = "platform",
});

go_object!(RawPlatform { os: String = "os", architecture: String = "architecture", variant: String = "variant" });

go_object!(RawDocument {
    schema_version: i64 = "schemaVersion",
    media_type: String = "mediaType",
    config: Option<RawDescriptor> = "config",
    layers: Option<List<RawDescriptor>> = "layers",
    manifests: Option<List<RawDescriptor>> = "manifests",
    schema_1_layers: List<IgnoredAny> = "fsLayers",
});

/// Reads a manifest or index; `content_type` is the registry's, used when the document does not say what it is.
///
/// - Errors: [`Error::Invalid`], [`Error::Unsupported`].
pub fn read(what: &str, content_type: &str, body: &[u8]) -> Result<Document, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let content_type = content_type.split(';').next().unwrap_or("").trim();
    let of_schema_1 = || Error::Unsupported { what: what.to_owned(), why: IS_SCHEMA_1.to_owned() };
    // Signed ones have a form of their own, so the registry's word comes first.
    if matches!(content_type, SCHEMA_1 | SCHEMA_1_SIGNED) {
        return Err(of_schema_1());
    }
    let raw: RawDocument =
        serde_json::from_slice(body).map_err(|e| invalid(format!("not a manifest: {}", shown(&e.to_string()))))?;
    let media_type = if raw.media_type.is_empty() { content_type } else { raw.media_type.as_str() };
    let named = matches!(media_type, SCHEMA_1 | SCHEMA_1_SIGNED);
    if named || raw.schema_version == 1 || !raw.schema_1_layers.0.is_empty() {
        return Err(of_schema_1());
    }
    // A document with both would be an index to one reader and an image to another.
    match (media_type, raw.manifests, raw.config, raw.layers) {
        (_, Some(_), Some(_), _) | (_, Some(_), _, Some(_)) => {
            Err(invalid("it is both an index and a manifest".to_owned()))
        }
        (OCI_MANIFEST | DOCKER_MANIFEST, Some(_), ..) => {
            Err(invalid("its media type says manifest, its content index".to_owned()))
        }
        (OCI_INDEX | DOCKER_LIST, None, None, None) => Ok(Document::Index(Vec::new())),
        (OCI_INDEX | DOCKER_LIST, None, ..) => {
            Err(invalid("its media type says index, its content does not".to_owned()))
        }
        (_, Some(entries), ..) => {
            entries.0.into_iter().map(|e| index_entry(what, e)).collect::<Result<_, _>>().map(Document::Index)
        }
        (_, None, Some(config), layers) => manifest(what, config, layers.unwrap_or_default().0).map(Document::Manifest),
        (_, None, None, _) => Err(invalid("it has neither manifests nor a config".to_owned())),
    }
}

fn manifest(what: &str, config: RawDescriptor, layers: Vec<RawDescriptor>) -> Result<Manifest, Error> {
    let config = descriptor(what, config)?;
    if !matches!(config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
        let why = format!("its config is {:?}, so it is not a container image", shown(&config.media_type));
        return Err(Error::Unsupported { what: what.to_owned(), why });
    }
    if config.size == 0 || config.size > MAX_CONFIG {
        return Err(Error::Invalid { what: what.to_owned(), why: format!("a config of {} bytes", config.size) });
    }
    if layers.len() > MAX_LAYERS {
        return Err(Error::Unsupported {
            what: what.to_owned(),
            why: format!("{} layers (at most {MAX_LAYERS})", layers.len()),
        });
    }
    let layers = layers.into_iter().map(|layer| descriptor(what, layer)).collect::<Result<Vec<_>, _>>()?;
    if let Some(encrypted) = layers.iter().find(|layer| layer.media_type.ends_with("+encrypted")) {
        return Err(Error::Unsupported {
            what: what.to_owned(),
            why: format!("layer {} is encrypted", encrypted.digest),
        });
    }
    Ok(Manifest { config, layers })
}

fn index_entry(what: &str, mut raw: RawDescriptor) -> Result<IndexEntry, Error> {
    let RawPlatform { os, architecture, variant } = std::mem::take(&mut raw.platform);
    let says_something = !(os.is_empty() && architecture.is_empty() && variant.is_empty());
    let platform = says_something.then_some(Platform { os, architecture, variant });
    Ok(IndexEntry { descriptor: descriptor(what, raw)?, platform })
}

fn descriptor(what: &str, raw: RawDescriptor) -> Result<Descriptor, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let digest = Digest::parse(&raw.digest).map_err(|e| invalid(e.to_string()))?;
    let size = u64::try_from(raw.size).map_err(|_| invalid(format!("{digest} is said to have {} bytes", raw.size)))?;
    Ok(Descriptor { media_type: raw.media_type, digest, size })
}

/// The entries that suit a platform, best first: what [`platform::rank`] says, then those that say nothing.
///
/// - Shapes: never empty; equally good ones in the order of the index.
/// - Errors: [`Error::NoPlatform`] with what there is; [`Error::Unsupported`] when that is of schema 1.
pub fn choose<'e>(what: &str, entries: &'e [IndexEntry], wanted: &Platform) -> Result<Vec<&'e IndexEntry>, Error> {
    let rank = |entry: &IndexEntry| entry.platform.as_ref().map_or(Some(u32::MAX), |p| platform::rank(p, wanted));
    let of = |types: &'static [&str]| {
        let typed = entries.iter().filter(move |entry| types.contains(&entry.descriptor.media_type.as_str()));
        typed.filter_map(|entry| Some((rank(entry)?, entry))).collect::<Vec<_>>()
    };
    let mut suitable = of(&[OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST, ""]);
    if !suitable.is_empty() {
        suitable.sort_by_key(|(rank, _)| *rank);
        return Ok(suitable.into_iter().map(|(_, entry)| entry).collect());
    }
    if !of(&[SCHEMA_1, SCHEMA_1_SIGNED]).is_empty() {
        return Err(Error::Unsupported { what: what.to_owned(), why: IS_SCHEMA_1.to_owned() });
    }
    let mut available: Vec<String> =
        entries.iter().filter_map(|e| e.platform.as_ref()).map(|p| shown(&p.to_string())).collect();
    available.dedup();
    available.truncate(12);
    let available = if available.is_empty() { "nothing".to_owned() } else { available.join(", ") };
    Err(Error::NoPlatform { what: what.to_owned(), platform: wanted.to_string(), available })
}

/// What a stranger wrote, for an error text: bounded, since errors become events. The JSON reader quotes whole strings
/// and says the place behind them, so the end is kept.
pub fn shown(text: &str) -> String {
    const BEGINNING: usize = 80;
    const END: usize = 60;
    let clean = || text.chars().filter(|c| !c.is_control());
    let length = clean().count();
    let mut shown: String = clean().take(BEGINNING).collect();
    if length > BEGINNING + END {
        shown.push('…');
    }
    shown.extend(clean().skip(BEGINNING.max(length.saturating_sub(END))));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let chosen = |platform: &Platform| {
            choose("x", &entries, platform).map(|best| best[0].platform.clone().unwrap().to_string())
        };
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
        for rest in
            ["", ",\"layers\":null", ",\"layers\":[],\"manifests\":null,\"mediaType\":null,\"annotations\":null"]
        {
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
}
