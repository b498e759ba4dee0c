// SPDX-License-Identifier: Apache-2.0
//! What a request is about: the ids and names at the beginning of its message, for the log.
//!
//! Only the [fields of the method](Method::fields) are read from a message, so that credentials and environment variables
//! cannot reach the log. All of these fields are in its first bytes.

use super::method::Method;
use gorae_image_service::reference::without_userinfo;

/// How many bytes of a message are read.
pub const LOOKED_AT: usize = 2048;
/// Longest id or name that is logged.
const LONGEST: usize = 300;
/// Bytes before a message: one that says whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a request is about: fields of the span and their values, in the order of the method's fields.
pub type Subject = Vec<(&'static str, String)>;

/// Whether the beginning of a body has everything that is read.
pub fn is_enough(body: &[u8]) -> bool {
    match body {
        [_, a, b, c, d, message @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            body.len() >= LOOKED_AT || usize::try_from(length).is_ok_and(|length| message.len() >= length)
        }
        _ => false,
    }
}

/// Reads what the request of a method is about from the beginning of its body.
pub fn of(method: Method, body: &[u8]) -> Subject {
    let message = match body {
        [0, ..] => body.get(PREFIX..).unwrap_or_default(),
        _ => &[],
    };
    let found = method.fields().iter().filter_map(|(word, path)| Some((*word, text(message, word, path)?)));
    found.collect()
}

fn text(mut message: &[u8], word: &str, path: &[u64]) -> Option<String> {
    let mut is_whole = true;
    for number in path {
        (message, is_whole) = field(message, *number)?;
    }
    let text = String::from_utf8_lossy(message);
    // The part before an `@` may be a password, and in a name that is cut off the `@` may be missing.
    let shown = match word {
        "image" if is_whole => without_userinfo(&text),
        "image" => return None,
        _ => &text,
    };
    (!shown.is_empty()).then(|| shown[..shown.floor_char_boundary(LONGEST)].to_owned())
}

/// The bytes of the first field with this number, as far as they are present, and whether that is all of them.
fn field(mut message: &[u8], wanted: u64) -> Option<(&[u8], bool)> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let bytes = message.split_off(..length.min(message.len()))?;
        if key == wanted << 3 | 2 {
            return Some((bytes, bytes.len() == length));
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::{cri, gorae};
    use prost::Message;

    fn of(name: &str, body: &[u8]) -> Subject {
        let method = Method::all().find(|method| method.name() == name).expect("known");
        super::of(method, body)
    }

    fn body(message: &impl Message) -> Vec<u8> {
        let length = u32::try_from(message.encoded_len()).expect("short").to_be_bytes();
        [&[0][..], &length, &message.encode_to_vec()].concat()
    }

    fn said(method: &str, message: &impl Message) -> String {
        let words = of(method, &body(message)).into_iter().map(|(word, value)| format!("{word}={value}"));
        words.collect::<Vec<_>>().join(" ")
    }

    fn pod() -> cri::PodSandboxConfig {
        let metadata = cri::PodSandboxMetadata { name: "web".into(), namespace: "shop".into(), ..Default::default() };
        cri::PodSandboxConfig { metadata: Some(metadata), hostname: "h".into(), ..Default::default() }
    }

    #[test]
    fn the_ids_and_names_of_each_kind_of_request_are_found() {
        let id = || "a1".to_owned();
        assert_eq!(
            said("RunPodSandbox", &cri::RunPodSandboxRequest { config: Some(pod()), ..Default::default() }),
            "namespace=shop pod=web"
        );
        assert_eq!(
            said("PodSandboxStatus", &cri::PodSandboxStatusRequest { pod_sandbox_id: id(), verbose: true }),
            "pod=a1"
        );
        let exec = cri::ExecSyncRequest { container_id: id(), cmd: vec!["secret".into()], timeout: 3 };
        assert_eq!(said("ExecSync", &exec), "container=a1");
        let image = Some(cri::ImageSpec { image: "busybox".into(), ..Default::default() });
        let config = cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata { name: "c".into(), attempt: 1 }),
            image: image.clone(),
            envs: vec![cri::KeyValue { key: "TOKEN".into(), value: "secret".into() }],
            ..Default::default()
        };
        let create = cri::CreateContainerRequest { pod_sandbox_id: id(), config: Some(config), ..Default::default() };
        assert_eq!(said("CreateContainer", &create), "pod=a1 container=c image=busybox");
        let auth = Some(cri::AuthConfig { username: "u".into(), password: "secret".into(), ..Default::default() });
        let pull = cri::PullImageRequest { image: image.clone(), auth, sandbox_config: Some(pod()) };
        assert_eq!(said("PullImage", &pull), "image=busybox pod=web");
        assert_eq!(said("RemoveImage", &cri::RemoveImageRequest { image }), "image=busybox");
        let filter = cri::ContainerFilter { id: "c1".into(), pod_sandbox_id: id(), ..Default::default() };
        assert_eq!(said("ListContainers", &cri::ListContainersRequest { filter: Some(filter) }), "container=c1 pod=a1");
        let name = gorae::RemoveImageNameRequest { name: "u:secret@host/busybox:2".into() };
        assert_eq!(said("RemoveImageName", &name), "image=host/busybox:2");
        assert_eq!(said("Version", &cri::VersionRequest { version: "v1".into() }), "");
    }

    #[test]
    fn a_truncated_or_malformed_message_gives_what_it_has() {
        let long = cri::RemovePodSandboxRequest { pod_sandbox_id: "x".repeat(5000) };
        let body = body(&long);
        assert_eq!(of("RemovePodSandbox", &body[..LOOKED_AT]), [("pod", "x".repeat(LONGEST))]);
        for end in 0..body.len().min(12) {
            of("RemovePodSandbox", &body[..end]);
        }
        for wrong in [&[1, 0, 0, 0, 3, 10, 1, b'a'][..], &[0, 0, 0, 0, 9, 0xff, 0xff], &[0, 0, 0, 0, 2, 0x0b, 0x0c]] {
            assert_eq!(of("RemovePodSandbox", wrong), []);
        }
    }

    #[test]
    fn enough_is_the_whole_message_or_everything_that_is_read() {
        let body = body(&cri::RemovePodSandboxRequest { pod_sandbox_id: "abc".into() });
        assert!(is_enough(&body) && (0..body.len()).all(|end| !is_enough(&body[..end])));
        assert!(is_enough(&[0, 0, 0, 0, 0]) && is_enough(&[0xff; LOOKED_AT]));
    }
}
