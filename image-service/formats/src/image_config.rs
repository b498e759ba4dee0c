// SPDX-License-Identifier: Apache-2.0
//! Reads an image config the way Go programs do. Pure; its text is untrusted.

use crate::go_json::{Keys, List, Texts, go_object};
use oci_spec::image::{Arch, Config, History, ImageConfiguration, Os, RootFs};

go_object!(Raw {
    created: String = "created",
    author: String = "author",
    architecture: String = "architecture",
    os: String = "os",
    os_version: String = "os.version",
    os_features: List<String> = "os.features",
    variant: String = "variant",
    config: Option<RawConfig> = "config",
    rootfs: RawRootFs = "rootfs",
    history: List<RawHistory> = "history",
});

go_object!(RawConfig {
    user: String = "User",
    exposed_ports: Keys = "ExposedPorts",
    env: List<String> = "Env",
    entrypoint: List<String> = "Entrypoint",
    cmd: List<String> = "Cmd",
    volumes: Keys = "Volumes",
    working_dir: String = "WorkingDir",
    labels: Texts = "Labels",
    stop_signal: String = "StopSignal",
});

go_object!(RawRootFs { kind: String = "type", diff_ids: List<String> = "diff_ids" });

go_object!(RawHistory {
    created: String = "created",
    author: String = "author",
    created_by: String = "created_by",
    comment: String = "comment",
    empty_layer: bool = "empty_layer",
});

/// Reads an image config. Null and absent fields count as empty, and empty fields become `None`.
///
/// - Shapes: ports and volumes are sorted; the values of their maps are ignored.
///
/// # Errors
/// The JSON reader's error, for text that is not a config.
pub fn read_config(text: &str) -> Result<ImageConfiguration, serde_json::Error> {
    let raw: Raw = serde_json::from_str(text)?;
    let mut read = ImageConfiguration::default();
    read.set_created(some(raw.created)).set_author(some(raw.author));
    read.set_architecture(Arch::from(raw.architecture.as_str())).set_os(Os::from(raw.os.as_str()));
    read.set_os_version(some(raw.os_version)).set_os_features(items(raw.os_features)).set_variant(some(raw.variant));
    read.set_config(raw.config.map(config)).set_rootfs(rootfs(raw.rootfs));
    let history: Vec<History> = raw.history.0.into_iter().map(history).collect();
    read.set_history((!history.is_empty()).then_some(history));
    Ok(read)
}

fn config(raw: RawConfig) -> Config {
    let mut read = Config::default();
    read.set_user(some(raw.user)).set_exposed_ports(keys(raw.exposed_ports)).set_env(items(raw.env));
    read.set_entrypoint(items(raw.entrypoint)).set_cmd(items(raw.cmd)).set_volumes(keys(raw.volumes));
    read.set_working_dir(some(raw.working_dir)).set_stop_signal(some(raw.stop_signal));
    let labels = raw.labels.0;
    read.set_labels((!labels.is_empty()).then(|| labels.into_iter().collect()));
    read
}

fn rootfs(raw: RawRootFs) -> RootFs {
    let mut read = RootFs::default();
    read.set_typ(raw.kind).set_diff_ids(raw.diff_ids.0);
    read
}

fn history(raw: RawHistory) -> History {
    let mut read = History::default();
    read.set_created(some(raw.created)).set_author(some(raw.author)).set_created_by(some(raw.created_by));
    read.set_comment(some(raw.comment)).set_empty_layer(raw.empty_layer.then_some(true));
    read
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn items(list: List<String>) -> Option<Vec<String>> {
    (!list.0.is_empty()).then_some(list.0)
}

fn keys(keys: Keys) -> Option<Vec<String>> {
    (!keys.0.is_empty()).then(|| keys.0.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_with_null_and_missing_fields_are_read() {
        let raw = r#"{"config":{"Env":null,"Cmd":["sh"],"ExposedPorts":{"80/tcp":null},"Labels":{"k":null},
            "Volumes":{"/data":{},"/null":null}},"created":null,"history":[{"created_by":"x"},null],
            "rootfs":{"diff_ids":[]}}"#;
        let config = read_config(raw).unwrap();
        let inside = config.config().as_ref().unwrap();
        assert_eq!(inside.cmd().as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(inside.volumes().as_deref(), Some(&["/data".to_owned(), "/null".to_owned()][..]));
        assert_eq!(inside.exposed_ports().as_deref(), Some(&["80/tcp".to_owned()][..]));
        assert_eq!(inside.labels().as_ref().unwrap()["k"], "");
        assert_eq!(inside.env(), &None);
        assert_eq!(config.history().as_ref().unwrap().len(), 2);
    }

    #[test]
    fn a_config_without_layers_is_one_and_what_is_no_config_is_not() {
        for empty in
            ["{}", "null", r#"{"rootfs":{}}"#, r#"{"rootfs":null,"config":null}"#, r#"{"rootfs":{"diff_ids":null}}"#]
        {
            let read = read_config(empty).unwrap();
            assert!(read.rootfs().diff_ids().is_empty() && read.config().is_none(), "{empty}");
        }
        for bad in ["", "[]", "1", r#"{"rootfs":{"diff_ids":"x"}}"#, r#"{"rootfs":{}} x"#, &"[".repeat(100_000)] {
            assert!(read_config(bad).is_err(), "{bad:.40}");
        }
    }

    #[test]
    fn the_case_of_a_key_does_not_matter_but_that_of_a_volume_does() {
        let raw = r#"{"CONFIG":{"env":["A=b"],"volumes":{"/A":{},"/a":{}}},"RootFS":{"Diff_IDs":["x"]}}"#;
        let read = read_config(raw).unwrap();
        let inside = read.config().as_ref().unwrap();
        assert_eq!((inside.env().as_ref().unwrap().len(), inside.volumes().as_ref().unwrap().len()), (1, 2));
        assert_eq!(read.rootfs().diff_ids(), &["x"]);
    }
}
