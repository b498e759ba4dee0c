// SPDX-License-Identifier: Apache-2.0
//! The configurations that a container and its pod were created with. The daemon stores them and returns them in its
//! verbose responses.

use crate::client::{Client, Detail};
use anyhow::{Context, Result, anyhow};
use gorae_proto::cri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;

/// The configuration that a container was created with.
///
/// # Errors
/// When the daemon's response does not include it, or has another form. The error never quotes values.
pub async fn container(client: &Client, id: &str) -> Result<cri::ContainerConfig> {
    let read = |info| container_config(config(info)?);
    read(&client.container_status(id, Detail::Verbose).await?.info)
        .with_context(|| format!("read the configuration of container {id:.12}"))
}

/// The configuration that a pod was created with.
///
/// # Errors
/// As [`container`].
pub async fn pod(client: &Client, id: &str) -> Result<cri::PodSandboxConfig> {
    let read = |info| message(config(info)?);
    read(&client.pod_status(id, Detail::Verbose).await?.info)
        .with_context(|| format!("read the configuration of pod {id:.12}"))
}

/// `info["info"]` is one JSON object; its `config` is the one of the request.
fn config(info: &HashMap<String, String>) -> Result<Value> {
    let text = info.get("info").context("the daemon's response does not include it")?;
    let mut value: Value = serde_json::from_str(text).context("the daemon's response is not valid JSON")?;
    Ok(value.get_mut("config").context("the daemon's response does not include it")?.take())
}

/// Reads the configuration of a container, in which the values of variables may be text instead of bytes.
fn container_config(mut config: Value) -> Result<cri::ContainerConfig> {
    let envs = config.get_mut("envs").map(Value::take).unwrap_or_default();
    if let Some(place) = config.get_mut("envs") {
        *place = Value::Array(Vec::new());
    }
    let envs = envs.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(variable);
    let envs = envs.collect::<Option<_>>().context("its variables have an unexpected form")?;
    Ok(cri::ContainerConfig { envs, ..message(config)? })
}

/// One variable: its value is a string, or a list of byte values.
fn variable(stored: &Value) -> Option<cri::KeyValue> {
    let value = match stored.get("value")? {
        Value::String(text) => text.clone().into_bytes(),
        numbers => Vec::<u8>::deserialize(numbers).ok()?,
    };
    Some(cri::KeyValue { key: stored.get("key")?.as_str()?.to_owned(), value })
}

/// Parses a message. The error does not say what is wrong with it: serde's messages quote values, and some are secret.
fn message<T: DeserializeOwned>(config: Value) -> Result<T> {
    serde_json::from_value(config).map_err(|_| anyhow!("it has an unexpected form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(config: Value) -> HashMap<String, String> {
        [("info".to_owned(), serde_json::json!({ "pid": 5, "config": config }).to_string())].into()
    }

    #[test]
    fn a_configuration_is_read_back_with_values_as_text_or_as_bytes() {
        let envs = [("A", "1"), ("EMPTY", ""), ("MARK", "=ü\n")];
        let asked = cri::ContainerConfig {
            envs: envs.map(|(key, value)| cri::KeyValue { key: key.into(), value: value.into() }).into(),
            tty: true,
            linux: Some(Default::default()),
            ..Default::default()
        };
        let read = |info: &HashMap<String, String>| container_config(config(info)?);
        let as_bytes = serde_json::json!(asked);
        assert_eq!(read(&answer(as_bytes.clone())).expect("reads"), asked);
        let mut as_text = as_bytes;
        as_text["envs"] = envs.map(|(key, value)| serde_json::json!({ "key": key, "value": value })).to_vec().into();
        assert_eq!(read(&answer(as_text)).expect("reads"), asked);
        assert!(read(&HashMap::new()).is_err());
    }

    #[test]
    fn another_form_is_refused_without_quoting_it() {
        for odd in [
            serde_json::json!({ "envs": [{ "key": "PASSWORD", "value": { "s3cret": 1 } }] }),
            serde_json::json!({ "envs": [{ "key": "PASSWORD", "value": ["s3cret"] }] }),
            serde_json::json!({ "envs": [], "tty": "s3cret" }),
            serde_json::json!({ "annotations": { "a": ["s3cret"] } }),
            serde_json::json!("s3cret"),
        ] {
            let error = config(&answer(odd)).and_then(container_config).expect_err("another form");
            assert!(!format!("{error:#}{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
