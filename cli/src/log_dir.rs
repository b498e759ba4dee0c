// SPDX-License-Identifier: Apache-2.0
//! Where the logs of the command line's containers go. The daemon reports its directories in its verbose status.

use crate::client::Client;
use crate::failure::refused;
use anyhow::Result;
use gorae_proto::cri;
use serde_json::Value;

/// The log directory of a daemon with the default root directory.
const LOGS: &str = "/var/log/gorae/pods";
/// The default root directory.
const ROOT: &str = "/var/lib/gorae";

/// Finds the directory under which every pod of the command line gets its own log directory; an absolute path.
///
/// # Errors
/// When the daemon does not respond.
pub async fn find(client: &Client) -> Result<String> {
    let answer = client.runtime().status(cri::StatusRequest { verbose: true }).await;
    let info = answer.map_err(refused(|| "ask the daemon for its directories"))?.into_inner().info;
    let config = info.get("config").and_then(|text| serde_json::from_str(text).ok());
    Ok(logs_of(config.as_ref()))
}

/// `logDir` when the daemon reports one; else below a root directory that is not the default; else the default.
fn logs_of(config: Option<&Value>) -> String {
    let key = |name: &str| config.and_then(|config| config.get(name)?.as_str()).filter(|path| path.starts_with('/'));
    match (key("logDir"), key("rootDir")) {
        (Some(logs), _) => logs.to_owned(),
        (None, Some(root)) if root != ROOT => format!("{root}/logs"),
        _ => LOGS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_daemon_decides_where_logs_go() {
        let rows = [
            (json!({}), LOGS),
            (json!({ "rootDir": "/var/lib/gorae" }), LOGS),
            (json!({ "rootDir": "/tmp/x" }), "/tmp/x/logs"),
            (json!({ "rootDir": "/tmp/x", "logDir": "/tmp/l" }), "/tmp/l"),
            (json!({ "rootDir": 5, "logDir": "relative" }), LOGS),
        ];
        for (config, expected) in rows {
            assert_eq!(logs_of(Some(&config)), expected, "{config}");
        }
        assert_eq!(logs_of(None), LOGS);
    }
}
