// SPDX-License-Identifier: Apache-2.0
//! `gorae version`.

use crate::context::Context;
use crate::failure::refused;
use crate::output::escape::plain;
use anyhow::Result;
use gorae_proto::cri;
use serde_json::json;

/// `version` has no arguments of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the versions of gorae and of the daemon; without a daemon, that of gorae and then the error.
///
/// # Errors
/// When the daemon cannot be asked, or the result cannot be printed.
pub async fn run(_args: Args, context: &Context) -> Result<u8> {
    let own = env!("CARGO_PKG_VERSION");
    let daemon = async {
        let client = context.connect().await?;
        let answer = client.runtime().version(cri::VersionRequest::default()).await;
        anyhow::Ok(answer.map_err(refused(|| "ask the daemon for its version"))?.into_inner())
    };
    match daemon.await {
        Ok(daemon) => {
            let value = json!({
                "client": { "version": own },
                "daemon": {
                    "name": daemon.runtime_name,
                    "version": daemon.runtime_version,
                    "apiVersion": daemon.runtime_api_version,
                },
            });
            context.output.one(&value, || {
                let (name, version) = (plain(&daemon.runtime_name), plain(&daemon.runtime_version));
                format!("gorae     {own}\ndaemon    {name} {version} (CRI {})\n", plain(&daemon.runtime_api_version))
            })?;
            Ok(0)
        }
        Err(error) => {
            context
                .output
                .one(&json!({ "client": { "version": own }, "daemon": null }), || format!("gorae     {own}\n"))?;
            Err(error)
        }
    }
}
