// SPDX-License-Identifier: Apache-2.0
//! What a container and its pod were made of: the daemon keeps the requests and shows them in its verbose answers.

use crate::client::Client;
use anyhow::{Context, Result};
use gorae_proto::cri;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// The configuration that a container was created with.
pub async fn container(client: &Client, id: &str) -> Result<cri::ContainerConfig> {
    config(&client.container_status(id, true).await?.info)
        .with_context(|| format!("read the configuration of container {id:.12}"))
}

/// The configuration that a pod was made with.
pub async fn pod(client: &Client, id: &str) -> Result<cri::PodSandboxConfig> {
    config(&client.pod_status(id, true).await?.info).with_context(|| format!("read the configuration of pod {id:.12}"))
}

/// `info["info"]` is one JSON object; its `config` is the request's.
fn config<T: DeserializeOwned>(info: &HashMap<String, String>) -> Result<T> {
    let text = info.get("info").context("the daemon does not tell it")?;
    let mut value: serde_json::Value = serde_json::from_str(text).context("the daemon's answer is no JSON")?;
    let config = value.get_mut("config").context("the daemon does not tell it")?.take();
    serde_json::from_value(config).context("the daemon tells it in another form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_was_asked_for() {
        let asked = cri::ContainerConfig {
            envs: vec![cri::KeyValue { key: "A".into(), value: vec![0xff, 0] }],
            tty: true,
            linux: Some(Default::default()),
            ..Default::default()
        };
        let text = serde_json::json!({ "pid": 5, "config": asked }).to_string();
        let told = config::<cri::ContainerConfig>(&[("info".to_owned(), text)].into()).expect("told");
        assert_eq!(told, asked);
        assert!(config::<cri::ContainerConfig>(&HashMap::new()).is_err());
    }
}
