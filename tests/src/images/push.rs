// SPDX-License-Identifier: Apache-2.0
//! Images as manifests, and a small HTTP/1.1 client that pushes them to a registry on loopback.

use super::layer::{Layer, Packing, sha256};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The moment at which every image of ours was "created".
const CREATED: &str = "2024-01-01T00:00:00Z";

/// Which of the two families of media types an image uses, and whether an index stands before its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OCI manifest behind an OCI index.
    OciIndex,
    /// OCI manifest alone.
    Oci,
    /// Docker schema 2 manifest behind a manifest list.
    DockerList,
    /// Docker schema 2 manifest alone.
    Docker,
}

/// An image for this machine's architecture, ready to push.
#[derive(Debug, Clone)]
pub struct Image {
    /// Repository, with no registry host.
    pub repository: String,
    /// Tags; all point to the same content.
    pub tags: Vec<String>,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
    /// The `config` object of the image configuration.
    pub config: Value,
    /// Media types.
    pub form: Form,
}

/// A registry on loopback that takes pushes without credentials.
#[derive(Debug, Clone, Copy)]
pub struct Registry(pub SocketAddr);

struct Answer {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

/// The Go and OCI name of this machine's architecture.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Form {
    fn docker(self) -> bool {
        matches!(self, Form::Docker | Form::DockerList)
    }

    fn manifest(self) -> &'static str {
        if self.docker() {
            "application/vnd.docker.distribution.manifest.v2+json"
        } else {
            "application/vnd.oci.image.manifest.v1+json"
        }
    }

    fn config(self) -> &'static str {
        if self.docker() {
            "application/vnd.docker.container.image.v1+json"
        } else {
            "application/vnd.oci.image.config.v1+json"
        }
    }

    fn layer(self, packing: Packing) -> &'static str {
        match (self.docker(), packing) {
            (true, Packing::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
            (true, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (false, Packing::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (false, Packing::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (false, Packing::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    fn index(self) -> Option<&'static str> {
        match self {
            Form::OciIndex => Some("application/vnd.oci.image.index.v1+json"),
            Form::DockerList => Some("application/vnd.docker.distribution.manifest.list.v2+json"),
            Form::Oci | Form::Docker => None,
        }
    }
}

impl Image {
    /// Digest by which the image can be pulled: that of the index where there is one.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(self.index_json().as_ref().unwrap_or(&self.manifest_json()))
    }

    /// Digest of the image configuration, which is the image's id.
    #[must_use]
    pub fn config_digest(&self) -> String {
        sha256(&self.config_json())
    }

    fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<_> = self.layers.iter().map(|l| &l.diff_id).collect();
        let history: Vec<_> =
            self.layers.iter().map(|_| json!({"created": CREATED, "created_by": "gorae-test-images"})).collect();
        let whole = json!({
            "architecture": architecture(), "os": "linux", "created": CREATED, "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        whole.to_string().into_bytes()
    }

    fn manifest_json(&self) -> Vec<u8> {
        let config = self.config_json();
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|l| json!({"mediaType": self.form.layer(l.packing), "digest": l.digest, "size": l.blob.len()}))
            .collect();
        let whole = json!({
            "schemaVersion": 2, "mediaType": self.form.manifest(), "layers": layers,
            "config": {"mediaType": self.form.config(), "digest": sha256(&config), "size": config.len()},
        });
        whole.to_string().into_bytes()
    }

    fn index_json(&self) -> Option<Vec<u8>> {
        let media_type = self.form.index()?;
        let manifest = self.manifest_json();
        let entry = json!({
            "mediaType": self.form.manifest(), "digest": sha256(&manifest), "size": manifest.len(),
            "platform": {"architecture": architecture(), "os": "linux"},
        });
        let whole = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry]});
        Some(whole.to_string().into_bytes())
    }
}

impl Registry {
    /// Pushes an image under all its tags and returns its digest.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses, with its answer.
    pub fn push(self, image: &Image) -> Result<String> {
        let repo = &image.repository;
        for layer in &image.layers {
            self.blob(repo, &layer.digest, &layer.blob)?;
        }
        let config = image.config_json();
        self.blob(repo, &sha256(&config), &config)?;
        let manifest = image.manifest_json();
        let index = image.index_json();
        if index.is_some() {
            self.manifest(repo, &sha256(&manifest), image.form.manifest(), &manifest)?;
        }
        let (top, media_type) = match (&index, image.form.index()) {
            (Some(index), Some(media_type)) => (index, media_type),
            _ => (&manifest, image.form.manifest()),
        };
        for tag in &image.tags {
            self.manifest(repo, tag, media_type, top)?;
        }
        Ok(sha256(top))
    }

    fn blob(self, repo: &str, digest: &str, data: &[u8]) -> Result<()> {
        if self.ask("HEAD", &format!("/v2/{repo}/blobs/{digest}"), "", &[])?.status == 200 {
            return Ok(());
        }
        let begun = self.ask("POST", &format!("/v2/{repo}/blobs/uploads/"), "", &[])?;
        let Some(place) = begun.location.filter(|_| begun.status == 202) else {
            bail!("upload to {repo} was answered with {}: {}", begun.status, String::from_utf8_lossy(&begun.body));
        };
        let path = match place.strip_prefix("http://").and_then(|p| p.find('/').map(|at| p[at..].to_owned())) {
            Some(path) => path,
            None => place,
        };
        let joint = if path.contains('?') { '&' } else { '?' };
        let done = self.ask("PUT", &format!("{path}{joint}digest={digest}"), "application/octet-stream", data)?;
        ensure!(done.status == 201, "blob {digest} of {repo} was answered with {}", done.status);
        Ok(())
    }

    fn manifest(self, repo: &str, name: &str, media_type: &str, json: &[u8]) -> Result<()> {
        let done = self.ask("PUT", &format!("/v2/{repo}/manifests/{name}"), media_type, json)?;
        let words = String::from_utf8_lossy(&done.body);
        ensure!(done.status == 201, "manifest {repo}:{name} was answered with {}: {words}", done.status);
        Ok(())
    }

    /// One request on a connection of its own.
    fn ask(self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Result<Answer> {
        let mut stream =
            TcpStream::connect(self.0).with_context(|| format!("connect to the registry at {}", self.0))?;
        stream.set_nodelay(true)?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.0);
        if !media_type.is_empty() {
            head += &format!("Content-Type: {media_type}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer).with_context(|| format!("{method} {path}"))
    }
}

/// Splits an answer that ended with its connection. Bodies are only shown, so their encoding is left alone.
fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").context("the answer has no end of its head")?;
    let head = std::str::from_utf8(&answer[..end])?;
    let status = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    Ok(Answer { status, location, body: answer[end + 4..].to_vec() })
}
