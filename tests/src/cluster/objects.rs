// SPDX-License-Identifier: Apache-2.0
//! The cluster's own pods: kube-proxy on every node, and CoreDNS behind the address that pods ask for names.

use super::api::{Api, PATIENCE};
use super::control::PODS;
use super::images;
use super::link::CONTROL;
use super::node::DNS;
use anyhow::Result;
use serde_json::{Value, json};

/// How kube-proxy steers packets to services.
#[derive(Debug, Clone, Copy)]
pub enum Proxy {
    /// By rules of iptables.
    Iptables,
    /// By tables of nftables.
    Nftables,
}

/// Where service accounts find what they need.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What CoreDNS serves: the names of services.
const COREFILE: &str = ".:53 {\n  errors\n  health :8080\n  ready :8181\n  kubernetes cluster.local\n  cache 5\n}\n";

/// Creates them and waits until they are ready, kube-proxy first: CoreDNS asks the API server by its service.
///
/// # Errors
/// When the API server refuses an object, or the pods are not ready in time.
pub async fn own_pods(api: &Api, proxy: Proxy) -> Result<()> {
    for object in proxy_objects(proxy) {
        api.create(&object).await?;
    }
    let on_both = |set: &Value| set["status"]["numberReady"] == 2;
    api.until(&path("daemonsets/kube-proxy"), "kube-proxy is ready on both nodes", PATIENCE, on_both).await?;
    for object in dns_objects() {
        api.create(&object).await?;
    }
    let ready = |deployment: &Value| deployment["status"]["readyReplicas"] == 2;
    api.until(&path("deployments/coredns"), "CoreDNS is ready on both nodes", PATIENCE, ready).await?;
    Ok(())
}

fn path(more: &str) -> String {
    format!("/apis/apps/v1/namespaces/kube-system/{more}")
}

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "kube-system", "labels": {"app": name}})
}

/// A service account with a role of the whole cluster.
fn account(name: &str, role: &str) -> [Value; 2] {
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(name)}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}],
        }),
    ]
}

fn files(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name), "data": data})
}

fn proxy_objects(proxy: Proxy) -> Vec<Value> {
    let mode = match proxy {
        Proxy::Iptables => "iptables",
        Proxy::Nftables => "nftables",
    };
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": mode,
        "clusterCIDR": PODS, "clientConnection": {"kubeconfig": "/etc/kube-proxy/kubeconfig"},
        "healthzBindAddress": "0.0.0.0:10256",
        // Settings of the whole kernel, which it cannot change from a network namespace that is not the first.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    // Not by the service's address, which it is about to make.
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://{CONTROL}:6443"), "certificate-authority": format!("{ACCOUNT}/ca.crt"),
        }}],
        "users": [{"name": "c", "user": {"tokenFile": format!("{ACCOUNT}/token")}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    let data = json!({"config": config.to_string(), "kubeconfig": kubeconfig.to_string()});
    let mut objects = account("kube-proxy", "system:node-proxier").to_vec();
    objects.push(files("kube-proxy", &data));
    objects.push(json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta("kube-proxy"),
        "spec": {"selector": {"matchLabels": {"app": "kube-proxy"}}, "template": {
            "metadata": {"labels": {"app": "kube-proxy"}},
            "spec": {
                "serviceAccountName": "kube-proxy", "hostNetwork": true, "tolerations": [{"operator": "Exists"}],
                "priorityClassName": "system-node-critical",
                "volumes": [{"name": "config", "configMap": {"name": "kube-proxy"}}],
                "containers": [{
                    "name": "kube-proxy", "image": images::PROXY, "securityContext": {"privileged": true},
                    "args": ["--config=/etc/kube-proxy/config", "--hostname-override=$(NODE)"],
                    "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/kube-proxy"}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 10256}, "periodSeconds": 1},
                }],
            },
        }},
    }));
    objects
}

fn dns_objects() -> Vec<Value> {
    let mut objects = account("coredns", "coredns").to_vec();
    objects.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }));
    objects.push(files("coredns", &json!({"Corefile": COREFILE})));
    objects.push(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta("kube-dns"),
        "spec": {"clusterIP": DNS, "selector": {"app": "coredns"}, "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ]},
    }));
    objects.push(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("coredns"),
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "coredns"}}, "template": {
            "metadata": {"labels": {"app": "coredns"}},
            "spec": {
                "serviceAccountName": "coredns", "dnsPolicy": "Default", "affinity": apart("coredns"),
                "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
                "containers": [{
                    "name": "coredns", "image": images::DNS, "args": ["-conf", "/etc/coredns/Corefile"],
                    "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                }],
            },
        }},
    }));
    objects
}

/// No two pods of this label on one node.
#[must_use]
pub fn apart(app: &str) -> Value {
    json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"},
    ]}})
}
