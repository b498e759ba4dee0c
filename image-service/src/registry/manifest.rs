// SPDX-License-Identifier: Apache-2.0
//! Indexes, manifests and configs: OCI and Docker schema 2, read from untrusted bytes into checked values. Pure.

use serde::Deserialize;

use super::error::Error;
use crate::config::Platform;
use crate::digest::Digest;

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

/// The `Accept` header for manifests.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A blob or manifest as another manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
}

/// The manifest of one image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
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
    pub descriptor: Descriptor,
    /// `None` when the entry says nothing.
    pub platform: Option<Platform>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: String,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
}

/// Reads a manifest or index; `content_type` is the registry's, used when the document does not say what it is.
///
/// - Errors: [`Error::Invalid`], [`Error::Unsupported`].
pub fn read(what: &str, content_type: &str, body: &[u8]) -> Result<Document, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let unsupported = |why: &str| Error::Unsupported { what: what.to_owned(), why: why.to_owned() };
    let raw: RawDocument =
        serde_json::from_slice(body).map_err(|e| invalid(format!("not a manifest: {}", shown(&e.to_string()))))?;
    if raw.schema_version == Some(1) {
        return Err(unsupported("a Docker schema 1 manifest; push the image again with a newer client"));
    }
    let content_type = content_type.split(';').next().unwrap_or("").trim();
    let media_type = if raw.media_type.is_empty() { content_type } else { raw.media_type.as_str() };
    // A document with both would be an index to one reader and an image to another.
    match (media_type, raw.manifests, raw.config, raw.layers) {
        (_, Some(_), Some(_), _) | (_, Some(_), _, Some(_)) => {
            Err(invalid("it is both an index and a manifest".to_owned()))
        }
        (OCI_MANIFEST | DOCKER_MANIFEST, Some(_), ..) => {
            Err(invalid("its media type says manifest, its content index".to_owned()))
        }
        (OCI_INDEX | DOCKER_LIST, None, ..) => {
            Err(invalid("its media type says index, its content does not".to_owned()))
        }
        (_, Some(entries), ..) => {
            entries.into_iter().map(|e| index_entry(what, e)).collect::<Result<_, _>>().map(Document::Index)
        }
        (_, None, Some(config), Some(layers)) => manifest(what, config, layers).map(Document::Manifest),
        (_, None, ..) => Err(invalid("it has neither manifests nor config and layers".to_owned())),
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

fn index_entry(what: &str, raw: RawDescriptor) -> Result<IndexEntry, Error> {
    let platform = raw.platform.as_ref().map(|p| Platform {
        os: p.os.clone(),
        architecture: p.architecture.clone(),
        variant: p.variant.clone(),
    });
    Ok(IndexEntry { descriptor: descriptor(what, raw)?, platform })
}

fn descriptor(what: &str, raw: RawDescriptor) -> Result<Descriptor, Error> {
    let digest = Digest::parse(&raw.digest);
    let digest = digest.map_err(|e| Error::Invalid { what: what.to_owned(), why: e.to_string() })?;
    Ok(Descriptor { media_type: raw.media_type, digest, size: raw.size })
}

/// Chooses the entry for a platform: the exact variant first, then none, then (on arm64 and arm) an older one.
///
/// - Errors: [`Error::NoPlatform`] with what there is.
pub fn choose<'e>(what: &str, entries: &'e [IndexEntry], wanted: &Platform) -> Result<&'e IndexEntry, Error> {
    let usable = |entry: &&IndexEntry| {
        matches!(entry.descriptor.media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST | OCI_INDEX | DOCKER_LIST | "")
    };
    let ranked =
        entries.iter().filter(usable).filter_map(|entry| Some((rank(entry.platform.as_ref(), wanted)?, entry)));
    // The first of the best: `min_by_key` keeps the earlier one.
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry).ok_or_else(|| {
        let mut available: Vec<String> =
            entries.iter().filter_map(|e| e.platform.as_ref()).map(|p| shown(&p.to_string())).collect();
        available.dedup();
        available.truncate(12);
        let available = if available.is_empty() { "nothing".to_owned() } else { available.join(", ") };
        Error::NoPlatform { what: what.to_owned(), platform: wanted.to_string(), available }
    })
}

/// Lower is better; `None` cannot run here.
fn rank(offered: Option<&Platform>, wanted: &Platform) -> Option<u32> {
    let Some(offered) = offered else { return Some(100) };
    if offered.os != wanted.os || offered.architecture != wanted.architecture {
        return None;
    }
    let number = |variant: &str| variant.strip_prefix('v').and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    match (number(&offered.variant), number(&wanted.variant)) {
        _ if offered.variant == wanted.variant => Some(0),
        _ if offered.variant.is_empty() => Some(1),
        // A newer processor runs what was made for an older one.
        (Some(has), Some(can)) if has < can => Some(1 + can - has),
        // amd64 without a wanted variant: v1 is what every machine runs.
        (Some(1), None) => Some(2),
        // arm64 without a wanted variant: v8 is the only first one.
        (Some(8), None) if offered.architecture == "arm64" => Some(2),
        _ => None,
    }
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
        let chosen =
            |platform: &Platform| choose("x", &entries, platform).map(|e| e.platform.clone().unwrap().to_string());
        assert_eq!(chosen(&wanted("amd64", "")).unwrap(), "linux/amd64");
        assert_eq!(chosen(&wanted("arm64", "v8")).unwrap(), "linux/arm64/v8");
        assert_eq!(chosen(&wanted("arm64", "")).unwrap(), "linux/arm64/v8");
        assert_eq!(chosen(&wanted("arm", "v7")).unwrap(), "linux/arm/v7");
        assert_eq!(chosen(&wanted("arm", "v8")).unwrap(), "linux/arm/v7");
        let none = chosen(&wanted("s390x", "")).unwrap_err().to_string();
        assert!(none.contains("linux/s390x") && none.contains("linux/arm/v6"), "{none}");
    }

    #[test]
    fn attestations_in_an_index_are_never_chosen() {
        let entries = [entry("unknown", "unknown", ""), entry("linux", "amd64", "")];
        let chosen = choose("x", &entries, &wanted("amd64", "")).unwrap();
        assert_eq!(chosen.platform.as_ref().unwrap().os, "linux");
    }
}
