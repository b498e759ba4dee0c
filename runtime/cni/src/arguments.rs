// SPDX-License-Identifier: Apache-2.0
//! `CNI_ARGS`: who the pod is, as Kubernetes' plugins expect it.

use crate::error::Error;

/// The pod of an attachment.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its namespace in Kubernetes.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// The text of `CNI_ARGS`. The first pair lets plugins pass over the ones that they do not know.
///
/// # Errors
/// [`Error::Argument`]: a value has a semicolon, which would end it, or a NUL.
pub fn arguments(pod: &Pod<'_>) -> Result<String, Error> {
    let pairs = [
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", pod.namespace),
        ("K8S_POD_NAME", pod.name),
        ("K8S_POD_INFRA_CONTAINER_ID", pod.id),
        ("K8S_POD_UID", pod.uid),
    ];
    if let Some((name, value)) = pairs.iter().find(|(_, value)| value.contains([';', '\0', '\n'])) {
        return Err(Error::Argument(format!(
            "{name} {value:?} cannot be given to network plugins: it has a semicolon, a newline or a NUL"
        )));
    }
    Ok(pairs.map(|(name, value)| format!("{name}={value}")).join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_are_those_that_plugins_read() {
        let pod = Pod { id: "4711", namespace: "default", name: "web-0", uid: "u-1" };
        let expected = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=4711;K8S_POD_UID=u-1";
        assert_eq!(arguments(&pod).unwrap(), expected);
        assert!(arguments(&Pod { name: "a;K8S_POD_UID=x", ..pod }).is_err());
    }
}
