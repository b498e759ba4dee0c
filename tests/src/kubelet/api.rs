// SPDX-License-Identifier: Apache-2.0
//! Kubelet's own HTTP API, over TLS with the certificate that it signed for itself.

use super::config::{NODE_NAME, Ports};
use anyhow::{Context, Result};
use reqwest::{Certificate, Client};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest answer to one request.
const ANSWER: Duration = Duration::from_secs(20);

/// A client of one kubelet.
#[derive(Debug, Clone)]
pub struct Api {
    ports: Ports,
    certificate: PathBuf,
}

impl Api {
    /// A client of the kubelet at these ports; its certificate may not be there yet.
    #[must_use]
    pub fn new(ports: Ports, certificate: &Path) -> Api {
        Api { ports, certificate: certificate.to_owned() }
    }

    /// The address of a path, as kubelet's streaming clients want it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ports.api)
    }

    /// True when kubelet answers that it is healthy, and serves its API.
    pub async fn is_healthy(&self) -> bool {
        let address = format!("127.0.0.1:{}", self.ports.health);
        let healthy = crate::web::get(&address, "/healthz").await.is_ok_and(|(status, _)| status == 200);
        healthy && self.try_get("/healthz").await.is_ok()
    }

    /// What is at a path, as text.
    ///
    /// # Errors
    /// When kubelet is not reached or answers with an error.
    pub async fn try_get(&self, path: &str) -> Result<String> {
        let answer = self.client()?.get(format!("https://{NODE_NAME}:{}{path}", self.ports.api)).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "GET {path}: {status} {text}");
        Ok(text)
    }

    /// What is at a path, as text; panics when it cannot be had.
    pub async fn get(&self, path: &str) -> String {
        self.try_get(path).await.unwrap_or_else(|e| panic!("ask kubelet for {path}: {e:#}"))
    }

    /// What is at a path, as JSON; panics when it cannot be had.
    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).unwrap_or_else(|e| panic!("{path} is no JSON: {e}"))
    }

    /// A client that trusts this kubelet's certificate and no other.
    fn client(&self) -> Result<Client> {
        let certificate = std::fs::read(&self.certificate).context("read kubelet's certificate")?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.api));
        let trusted = Certificate::from_pem_bundle(&certificate)?;
        Ok(Client::builder().tls_certs_only(trusted).resolve(NODE_NAME, here).no_proxy().timeout(ANSWER).build()?)
    }
}
