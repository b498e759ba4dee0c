// SPDX-License-Identifier: Apache-2.0
//! `WWW-Authenticate` headers of registries.

use gorae_image_formats::challenge::{self, Challenge};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let found = challenge::parse(text);
    // The shortest is "Basic", and something has to stand between two.
    assert!(found.len() <= text.len().div_ceil(6), "{} challenges in {} bytes", found.len(), text.len());
    for challenge in found {
        let again = challenge::parse(&written(&challenge));
        assert_eq!(again, [challenge], "a challenge changes on its way");
    }
}

/// The challenge as a registry would send it, with all its values quoted.
fn written(challenge: &Challenge) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    match challenge {
        Challenge::Basic => "Basic".to_owned(),
        Challenge::Bearer { realm, service, scope } => {
            let mut text = format!("Bearer realm=\"{}\"", quoted(realm));
            for (key, value) in [("service", service), ("scope", scope)] {
                if let Some(value) = value {
                    text.push_str(&format!(",{key}=\"{}\"", quoted(value)));
                }
            }
            text
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"",
        "Basic realm=\"a, b\", Bearer realm=\"c\\\"d\\\\\"",
        "Bearer realm=https://t/x , service=s",
        "Negotiate abc=, basic",
        "Bearer realm=\"unfinished",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
