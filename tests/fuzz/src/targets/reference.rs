// SPDX-License-Identifier: Apache-2.0
//! Names of images.

use gorae_image_formats::reference::{Reference, without_userinfo};

/// The longest `host/path` with a tag or a digest behind it.
const LONGEST: usize = 255 + 1 + 7 + 128;
/// What stands where URLs have a password.
const SECRET: &str = "s3cr3t";

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    no_error_shows(text);
    let Ok(name) = Reference::parse(text) else { return };
    let shown = name.to_string();
    assert!(shown.len() <= LONGEST && shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
    assert!(name.path().split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{shown:?}");
    let again = Reference::parse(&shown);
    assert_eq!(again.as_ref().map(ToString::to_string), Ok(shown), "a name of an image is not a name");
    assert_eq!(again.as_ref().map(|again| again.repository()), Ok(name.repository()));
}

/// The input as the host of a password: nothing shows that.
fn no_error_shows(text: &str) {
    // Behind these there is no host, but the digest of a name that is this secret.
    if text.contains(SECRET) || text.starts_with("sha256:") || text.starts_with("sha512:") {
        return;
    }
    for before in
        [SECRET.to_owned(), format!("user:{SECRET}"), format!("https://user:{SECRET}"), format!("{SECRET}@{SECRET}")]
    {
        let given = format!("{before}@{text}");
        assert!(!without_userinfo(&given).contains(SECRET), "{given:?}");
        let error = Reference::parse(&given).expect_err("a password is no part of a name");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    [
        "busybox".to_owned(),
        "registry.example:5000/a/b_c/d__e-f.g:v1.2-rc_3".to_owned(),
        format!("[::1]:5000/x@{digest}"),
        format!("localhost/x:tag@sha512:{}", "0".repeat(128)),
        format!("index.docker.io/{}", "a".repeat(230)),
        format!("a@{digest}@b"),
        digest,
    ]
    .map(String::into_bytes)
    .to_vec()
}
