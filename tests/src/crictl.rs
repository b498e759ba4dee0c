// SPDX-License-Identifier: Apache-2.0
//! The real crictl, pointed at a node.

use crate::node::Node;
use crate::place;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Output};

const CONFIG: &str = "crictl.yaml";

/// crictl at the node's socket, with a directory for its files.
#[derive(Debug)]
pub struct Crictl {
    directory: PathBuf,
}

impl Crictl {
    /// Points it at a node; panics when its configuration cannot be written.
    #[must_use]
    pub fn of(node: &Node) -> Crictl {
        let directory = node.directory("crictl");
        let text = format!("runtime-endpoint: {0}\nimage-endpoint: {0}\ntimeout: 30\n", node.cri().endpoint());
        std::fs::write(directory.join(CONFIG), text).expect("the file is written");
        Crictl { directory }
    }

    /// crictl with these arguments.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(place::tool("crictl"));
        let config = self.directory.join(CONFIG);
        command.arg("--config").arg(config).args(words).current_dir(&self.directory);
        command
    }

    /// Runs crictl and returns its output, success or not; panics when crictl is not there.
    #[must_use]
    pub fn try_run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("crictl starts")
    }

    /// Runs crictl, which must succeed, and returns what it printed.
    pub fn run(&self, words: &[&str]) -> String {
        let out = self.try_run(words);
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "crictl {words:?}: {stdout}{stderr}");
        stdout.trim_end().to_owned()
    }

    /// The same for JSON.
    #[must_use]
    pub fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.run(words)).unwrap_or_else(|e| panic!("crictl {words:?}: {e}"))
    }

    /// Writes a configuration and returns its path.
    #[must_use]
    pub fn file(&self, name: &str, content: &Value) -> String {
        let path = self.directory.join(name);
        std::fs::write(&path, content.to_string()).expect("the file is written");
        path.display().to_string()
    }

    /// Writes a pod's configuration and returns its path.
    #[must_use]
    pub fn pod_file(&self, name: &str) -> String {
        let pod = json!({
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "attempt": 1},
            "hostname": name, "log_directory": self.directory.join("logs"), "labels": {"made-by": "crictl"}, "linux": {},
        });
        self.file(&format!("{name}-pod.json"), &pod)
    }

    /// Writes a container's configuration and returns its path.
    #[must_use]
    pub fn container_file(&self, name: &str, image: &str, command: &[&str]) -> String {
        let container = json!({
            "metadata": {"name": name}, "image": {"image": image}, "command": command,
            "log_path": format!("{name}.log"), "linux": {},
        });
        self.file(&format!("{name}.json"), &container)
    }
}
