// SPDX-License-Identifier: Apache-2.0
//! Where the logs of the command line's containers go: the daemon knows its directories and tells them.

use crate::client::Client;
use crate::failure::refused;
use anyhow::Result;
use gorae_proto::cri;
use serde_json::Value;

/// Where logs go on a machine that is set up in the usual way.
const LOGS: &str = "/var/log/gorae/pods";
/// The root directory that goes with it.
const ROOT: &str = "/var/lib/gorae";

/// The directory under which every pod of ours gets one for its logs.
pub async fn find(client: &Client) -> Result<String> {
    let answer = client.runtime().status(cri::StatusRequest { verbose: true }).await;
    let info = answer.map_err(refused(|| "ask the daemon for its directories"))?.into_inner().info;
    let config = info.get("config").and_then(|text| serde_json::from_str(text).ok());
    Ok(logs_of(config.as_ref()))
}

/// `logDir` when the daemon names one; beside the data when that is elsewhere (a daemon of a test); else the usual.
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
