// SPDX-License-Identifier: Apache-2.0
//! Images and registries that were made to break a node: which user they run as, what they touch of the host, how much they take.

mod answers;
mod devices;
mod users;

use gorae_tests::images::layer::{Layer, Packing, Writer};
use gorae_tests::images::programs::TINY as TINY_PROGRAM;
use gorae_tests::images::push::{Form, Image};
use gorae_tests::{ContainerBuilder, Node, Pod};
use serde_json::{Value, json};

/// A layer with the program `/tiny`.
fn program() -> Layer {
    Writer::default().file("/tiny", 0o755, &TINY_PROGRAM.compile().expect("it compiles")).finish(Packing::Gzip)
}

/// Pushes and pulls an image of these layers and the configuration `extra`; a container of it in `pod` comes back.
async fn container_of(node: &Node, pod: &Pod, name: &str, layers: Vec<Layer>, extra: Value) -> ContainerBuilder {
    let mut config = json!({"Entrypoint": ["/tiny"], "Cmd": ["sleep"]});
    config.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    let image = Image { repository: name.into(), tags: vec!["1".into()], layers, config, form: Form::Oci };
    node.registry().client().push(&image).expect("pushed");
    let full = format!("images.gorae.test/{name}:1");
    node.cri().pull(&full).await.expect("pulled");
    pod.container(name).image(&full)
}
