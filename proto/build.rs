// SPDX-License-Identifier: Apache-2.0
//! Compiles the .proto files in process (protox): no protoc is needed to build Gorae.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let shim = protox::compile(["shim.proto"], ["proto"])?;
    tonic_prost_build::configure().build_server(false).build_client(false).compile_fds(shim)?;
    if std::env::var_os("CARGO_FEATURE_CRI").is_some() {
        let cri = protox::compile(["api.proto"], ["proto"])?;
        tonic_prost_build::configure()
            .type_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]")
            .message_attribute(".", "#[serde(default)]")
            .skip_debug(["runtime.v1.AuthConfig"])
            .compile_fds(cri)?;
        // It uses messages of the CRI, which are compiled already: in a directory of its own, so that these stay.
        let own = protox::compile(["gorae.proto"], ["proto"])?;
        let out = PathBuf::from(std::env::var("OUT_DIR")?).join("own");
        std::fs::create_dir_all(&out)?;
        tonic_prost_build::configure()
            .extern_path(".runtime.v1", "crate::cri")
            .type_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]")
            .message_attribute(".", "#[serde(default)]")
            .out_dir(out)
            .compile_fds(own)?;
    }
    Ok(())
}
