// SPDX-License-Identifier: Apache-2.0
//! The images of our own tests and of the demo. None of them needs a package or the network.

use super::conformance::PATH;
use super::layer::{Layer, Packing, Writer};
use super::programs::TINY;
use super::push::{Form, Image};
use anyhow::Result;
use serde_json::json;

/// The tiny image: one static program, one layer.
pub const TINY_REPOSITORY: &str = "gorae/tiny";

/// `gorae/tiny:1`, an OCI image of one gzip layer; its program is `/tiny`.
///
/// # Errors
/// When the program does not compile.
pub fn tiny() -> Result<Image> {
    Ok(tiny_of(vec![tiny_layer(Packing::Gzip)?], "1", Form::OciIndex))
}

/// Every image of our own: the tiny one in each packing and form that a registry may hold.
///
/// # Errors
/// When the program does not compile.
pub fn images() -> Result<Vec<Image>> {
    let marker = Writer::default().file("/etc/marker", 0o644, b"upper\n").finish(Packing::Gzip);
    let lower = Writer::default()
        .file("/etc/marker", 0o644, b"lower\n")
        .file("/data/gone", 0o644, b"x")
        .file("/data/kept", 0o644, b"y")
        .file("/opaque/below", 0o644, b"z")
        .finish(Packing::Gzip);
    let whiteouts = Writer::default()
        .file("/data/.wh.gone", 0o644, b"")
        .file("/opaque/.wh..wh..opq", 0o644, b"")
        .file("/opaque/above", 0o644, b"w")
        .finish(Packing::Gzip);
    Ok(vec![
        tiny()?,
        tiny_of(vec![tiny_layer(Packing::Plain)?], "plain", Form::Oci),
        tiny_of(vec![tiny_layer(Packing::Zstd)?], "zstd", Form::Oci),
        tiny_of(vec![tiny_layer(Packing::Gzip)?], "docker", Form::Docker),
        tiny_of(vec![tiny_layer(Packing::Gzip)?, lower, marker, whiteouts], "layers", Form::OciIndex),
    ])
}

fn tiny_layer(packing: Packing) -> Result<Layer> {
    let mut layer = Writer::default();
    layer.file("/tiny", 0o755, &TINY.compile()?);
    for dir in ["dev", "etc", "proc", "sys", "www"] {
        layer.dir(dir, 0o755, 0);
    }
    layer.dir("tmp", 0o1777, 0);
    Ok(layer.finish(packing))
}

fn tiny_of(layers: Vec<Layer>, tag: &str, form: Form) -> Image {
    let config = json!({"Env": [PATH], "Entrypoint": ["/tiny"], "Cmd": ["sleep"]});
    Image { repository: TINY_REPOSITORY.to_owned(), tags: vec![tag.to_owned()], layers, config, form }
}
