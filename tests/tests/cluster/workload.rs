// SPDX-License-Identifier: Apache-2.0
//! The pods that the tests look at: a web service on both nodes, one pod per node behind a port of its host, and one per node
//! that asks.

use anyhow::{Context, Result, ensure};
use gorae_tests::cluster::api::{is, items};
use gorae_tests::cluster::{Cluster, PATIENCE, apart};
use gorae_tests::{BUSYBOX, TINY};
use serde_json::{Value, json};

/// The port of every node that leads to the service.
pub const NODE_PORT: u16 = 30_080;
/// The port of every node that leads to the pod on it.
pub const HOST_PORT: u16 = 8_088;
/// The port that the pods listen on.
pub const PORT: u16 = 8_080;
/// The list of the pods.
pub const PODS: &str = "/api/v1/namespaces/default/pods";
/// What they serve: their own name.
pub const PAGE: &str = "/hostname";

/// Asks for the service by its name, from `/tmp/begin` until `/tmp/enough`, and counts in `/tmp/count`: requests, lost ones.
const ASK: &str = "trap exit TERM
while [ ! -e /tmp/begin ]; do sleep 0.1; done
asked=0 lost=0
while [ ! -e /tmp/enough ]; do
    asked=$((asked + 1))
    timeout 5 wget -q -O /tmp/answer http://web/hostname || { lost=$((lost + 1)); echo \"request $asked is lost at $(date)\"; }
    echo $asked $lost >/tmp/count
    sleep 0.02
done
touch /tmp/done
while :; do sleep 0.1; done";

/// A pod that is ready.
#[derive(Debug, Clone)]
pub struct Pod {
    pub app: String,
    pub name: String,
    pub node: String,
    pub address: String,
}

/// Creates the pods and waits until all are ready.
pub async fn run(cluster: &Cluster) -> Result<Vec<Pod>> {
    for object in [web(), service(), direct(), asker()] {
        cluster.api().create(&object).await?;
    }
    ready(cluster).await
}

/// Waits until two pods of each kind are ready and no others are there, and returns them.
pub async fn ready(cluster: &Cluster) -> Result<Vec<Pod>> {
    let all = |list: &Value| items(list).len() == 6 && items(list).iter().all(|pod| is(pod, "Ready"));
    let list = cluster.api().until(PODS, "six pods are ready", PATIENCE, all).await?;
    let pods = items(&list).iter().map(pod).collect::<Result<Vec<_>>>()?;
    for app in ["web", "direct", "asker"] {
        let nodes: Vec<_> = pods.iter().filter(|pod| pod.app == app).map(|pod| &pod.node).collect();
        ensure!(nodes.len() == 2 && nodes[0] != nodes[1], "{app} is not on both nodes: {nodes:?}");
    }
    Ok(pods)
}

fn pod(object: &Value) -> Result<Pod> {
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("a text in {object}"));
    Ok(Pod {
        app: text(&object["metadata"]["labels"]["app"])?,
        name: text(&object["metadata"]["name"])?,
        node: text(&object["spec"]["nodeName"])?,
        address: text(&object["status"]["podIP"])?,
    })
}

fn server(name: &str, port: &Value) -> Value {
    json!({
        "name": name, "image": TINY, "args": ["serve", PORT.to_string(), "/etc"], "ports": [port],
        "readinessProbe": {"httpGet": {"path": PAGE, "port": PORT}, "periodSeconds": 1},
    })
}

fn set(kind: &str, name: &str, more: &Value, spec: &Value) -> Value {
    let mut whole = json!({
        "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let meta = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": whole})
}

fn web() -> Value {
    let container = server("web", &json!({"containerPort": PORT}));
    let spec = json!({"affinity": apart("web"), "terminationGracePeriodSeconds": 2, "containers": [container]});
    set("Deployment", "web", &json!({"replicas": 2}), &spec)
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "type": "NodePort", "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": PORT, "nodePort": NODE_PORT}],
        },
    })
}

fn direct() -> Value {
    let container = server("direct", &json!({"containerPort": PORT, "hostPort": HOST_PORT}));
    set("DaemonSet", "direct", &json!({}), &json!({"terminationGracePeriodSeconds": 2, "containers": [container]}))
}

fn asker() -> Value {
    let container = json!({"name": "asker", "image": BUSYBOX, "command": ["sh", "-c", ASK]});
    set("DaemonSet", "asker", &json!({}), &json!({"terminationGracePeriodSeconds": 2, "containers": [container]}))
}
