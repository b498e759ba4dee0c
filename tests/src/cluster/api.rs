// SPDX-License-Identifier: Apache-2.0
//! The API server as a client sees it: objects in JSON, by their paths.

use super::keys::{ADMIN, Keys};
use super::link::CONTROL;
use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, Method};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Longest wait for nodes and pods.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Longest answer to one request.
const ANSWER: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// A client that may do everything.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
}

impl Api {
    /// A client of the API server with these keys, which may not run yet.
    ///
    /// # Errors
    /// When the certificate authority cannot be read.
    pub fn new(keys: &Keys) -> Result<Api> {
        let trusted = Certificate::from_pem(&std::fs::read(keys.file("ca.crt"))?)?;
        let client = Client::builder().tls_certs_only([trusted]).no_proxy().timeout(ANSWER).build()?;
        Ok(Api { client })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<String> {
        let mut request = self.client.request(method.clone(), format!("https://{CONTROL}:6443{path}"));
        request = request.bearer_auth(ADMIN.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(text)
    }

    /// What is at a path, as text.
    ///
    /// # Errors
    /// When the API server is not reached or answers with an error.
    pub async fn text(&self, path: &str) -> Result<String> {
        self.ask(Method::GET, path, None).await
    }

    /// The object or list at a path.
    ///
    /// # Errors
    /// When the API server is not reached, answers with an error, or not in JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(path).await?)?)
    }

    /// Creates an object where its kind, version and namespace belong.
    ///
    /// # Errors
    /// When the API server is not reached or refuses it.
    pub async fn create(&self, object: &Value) -> Result<()> {
        let path = place(object);
        self.ask(Method::POST, &path, Some(object)).await.map(drop)
    }

    /// Deletes an object; it may go later.
    ///
    /// # Errors
    /// When the API server is not reached or refuses.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.ask(Method::DELETE, path, None).await.map(drop)
    }

    /// Waits until what is at a path is as wanted, and returns it.
    ///
    /// # Errors
    /// When it is not in time, with what was there last.
    pub async fn until(
        &self,
        path: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let found = self.get(path).await;
            match &found {
                Ok(value) if wanted(value) => return found,
                _ => {}
            }
            ensure!(begun.elapsed() < limit, "waited {limit:?} until {what}; {path} is {}", shown(&found));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The items of a list; none when it is no list.
#[must_use]
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

/// True when an object's condition of this kind is true.
#[must_use]
pub fn is(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == condition && c["status"] == "True"))
}

/// The status of each object, without the long rest.
fn shown(found: &Result<Value>) -> String {
    match found {
        Err(error) => format!("{error:#}"),
        Ok(value) if value["items"].is_array() => {
            let line = |item: &Value| format!("\n{}: {}", item["metadata"]["name"], item["status"]);
            items(value).iter().map(line).collect()
        }
        Ok(value) => value["status"].to_string(),
    }
}

/// The path of the list that an object is created in.
fn place(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let kind = format!("{}s", object["kind"].as_str().unwrap_or_default().to_lowercase());
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{kind}"),
        None => format!("{root}/{kind}"),
    }
}
