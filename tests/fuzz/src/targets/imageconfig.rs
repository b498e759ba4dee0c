// SPDX-License-Identifier: Apache-2.0
//! Image configs, as registries give them and as records keep them.

use gorae_image_formats::image_config::read_config;
use gorae_image_formats::user::User;
use oci_spec::image::ImageConfiguration;

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(config) = read_config(text) else { return };
    // Compared as JSON: ports and volumes are sets, and come in any order.
    let json = |config: &ImageConfiguration| serde_json::to_value(config).expect("what was read can be written");
    let again = read_config(&json(&config).to_string()).expect("what was written can be read");
    assert_eq!(json(&again), json(&config), "a config changes on its way");
    let said = config.config().as_ref().and_then(|config| config.user().clone()).unwrap_or_default();
    let user = said.split(':').next().unwrap_or_default();
    match User::of(&config) {
        User::Unset => assert_eq!(user, ""),
        User::Id(id) => {
            assert!(id != u32::MAX && user.trim_start_matches('0') == id.to_string().trim_start_matches('0'))
        }
        User::Name(name) => assert!(!name.is_empty() && name == user),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{id}"]}}"#);
    [
        format!(
            r#"{{"created":"2026-01-01T00:00:00Z","author":"a","architecture":"arm","os":"linux","variant":"v7",
            "os.version":"1","os.features":["x"],"config":{{"User":"0005:6","ExposedPorts":{{"80/tcp":{{}}}},
            "Env":["A=b"],"Entrypoint":["/e"],"Cmd":["c","d"],"Volumes":{{"/v":{{}}}},"WorkingDir":"/w",
            "Labels":{{"k":"v"}},"StopSignal":"SIGQUIT","ArgsEscaped":true,"Healthcheck":{{"Test":["NONE"]}}}},
            "history":[{{"created":"2026-01-01T00:00:00Z","created_by":"x","empty_layer":true}}],{rootfs}}}"#
        ),
        format!(r#"{{"config":{{"User":"4294967295","Env":null,"Cmd":null,"Labels":null}},"history":null,{rootfs}}}"#),
        format!(r#"{{"config":{{"User":"www-data:x:y"}},"os":null,"architecture":"","os":"windows",{rootfs}}}"#),
        r#"{"config":null,"rootfs":{"type":"","diff_ids":[]}}"#.to_owned(),
        r#"{"Config":{"VOLUMES":{"/v":null},"ExposedPorts":{"1/udp":null},"Labels":{"k":null}},"history":[null],"RootFS":{}}"#
            .to_owned(),
        "{}".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}
