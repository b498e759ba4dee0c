// SPDX-License-Identifier: Apache-2.0
//! Compiles the .proto files in process (protox): no protoc is needed to build Gorae.

use std::error::Error;

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
        let own = protox::compile(["gorae.proto"], ["proto"])?;
        tonic_prost_build::configure().compile_fds(own)?;
    }
    Ok(())
}
