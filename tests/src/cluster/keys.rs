// SPDX-License-Identifier: Apache-2.0
//! What proves who is who in a cluster: a certificate authority, the API server's certificate, the key of service accounts,
//! and a token for each client.

use super::link::CONTROL;
use super::run::output;
use anyhow::Result;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The names and addresses by which the API server is reached; the last is the first address of services.
const NAMES: &str = "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
                     DNS:kubernetes.default.svc.cluster.local,IP:10.200.0.1,IP:10.96.0.1";

/// A client of the API server: its token is its name.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub token: &'static str,
    pub user: &'static str,
    pub group: &'static str,
}

/// The test itself.
pub const ADMIN: Client = Client { token: "admin-token", user: "admin", group: "system:masters" };
/// The other clients that are no service accounts.
pub const CLIENTS: [Client; 5] = [
    ADMIN,
    Client { token: "controllers-token", user: "system:kube-controller-manager", group: "" },
    Client { token: "scheduler-token", user: "system:kube-scheduler", group: "" },
    Client { token: "node-a-token", user: "system:node:node-a", group: "system:nodes" },
    Client { token: "node-b-token", user: "system:node:node-b", group: "system:nodes" },
];

/// Files in a directory of the test.
#[derive(Debug, Clone)]
pub struct Keys(PathBuf);

impl Keys {
    /// Makes all of them.
    ///
    /// # Errors
    /// When openssl fails or a file cannot be written.
    pub fn make(home: &Path) -> Result<Keys> {
        std::fs::create_dir_all(home)?;
        let keys = Keys(home.to_owned());
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let [ca, ca_key] = [keys.file("ca.crt"), keys.file("ca.key")];
        let own = ["req", "-x509", "-subj", "/CN=cluster", "-out", &ca, "-keyout", &ca_key];
        output("openssl", &[&own[..], &curve[..]].concat())?;
        let [server, key] = [keys.file("server.crt"), keys.file("server.key")];
        let signed = ["-CA", &ca, "-CAkey", &ca_key, "-addext", NAMES, "-addext", "basicConstraints=critical,CA:false"];
        let server = ["req", "-x509", "-subj", "/CN=kube-apiserver", "-out", &server, "-keyout", &key];
        output("openssl", &[&server[..], &signed[..], &curve[..]].concat())?;
        let accounts = keys.file("accounts.key");
        output("openssl", &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &accounts])?;
        let line = |c: &Client| format!("{},{},{},\"{}\"\n", c.token, c.user, c.user, c.group);
        std::fs::write(keys.file("tokens.csv"), CLIENTS.iter().map(line).collect::<String>())?;
        for client in &CLIENTS {
            std::fs::write(keys.kubeconfig(client.token), kubeconfig(&keys.file("ca.crt"), client.token).to_string())?;
        }
        Ok(keys)
    }

    /// The path of one of them.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// The file by which a client with this token reaches the API server.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        self.file(&format!("{token}.kubeconfig"))
    }
}

fn kubeconfig(authority: &str, token: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
        "clusters": [{"name": "cluster", "cluster": {
            "server": format!("https://{CONTROL}:6443"), "certificate-authority": authority,
        }}],
        "users": [{"name": "client", "user": {"token": token}}],
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "client"}}],
    })
}
