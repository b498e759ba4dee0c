// SPDX-License-Identifier: Apache-2.0
//! `WWW-Authenticate` headers (RFC 9110 11.6.1): the authentication that a registry requires. Pure; the text is untrusted.

/// The authentication that a registry requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password.
    Basic,
    /// A token from the token server at `realm`.
    Bearer {
        /// The token server's address.
        realm: String,
        /// The service that the token is for.
        service: Option<String>,
        /// The access that the token grants.
        scope: Option<String>,
    },
}

/// Reads all challenges of one header value; unknown ones are skipped.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header.trim_start();
    while let Some((scheme, after)) = word(rest) {
        let (parameters, next) = parameters(after);
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => found.push(Challenge::Basic),
            "bearer" => {
                if let Some(realm) = get("realm") {
                    found.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
                }
            }
            _ => {}
        }
        rest = next.trim_start_matches([',', ' ', '\t']);
    }
    found
}

/// Reads `key=value, key="quoted"` up to the next scheme.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let start = rest.trim_start_matches([',', ' ', '\t']);
        let Some((key, after)) = word(start) else { return (found, start) };
        let Some(after) = after.trim_start().strip_prefix('=') else { return (found, start) };
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match after.find([',', ' ', '\t']) {
                Some(end) => (after[..end].to_owned(), &after[end..]),
                None => (after.to_owned(), ""),
            },
        };
        found.push((key.to_ascii_lowercase(), value));
        rest = next;
    }
}

fn word(text: &str) -> Option<(&str, &str)> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn unquote(text: &str) -> (String, &str) {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into), scope: scope.map(Into::into) }
    }

    #[test]
    fn the_forms_that_registries_send_are_read() {
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"";
        assert_eq!(
            parse(hub),
            [bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"))]
        );
        assert_eq!(parse("Basic realm=\"x\""), [Challenge::Basic]);
        assert_eq!(parse("basic"), [Challenge::Basic]);
        assert_eq!(parse("Bearer realm=https://t/x , service=s"), [bearer("https://t/x", Some("s"), None)]);
        assert_eq!(
            parse("Basic realm=\"a, b\", Bearer realm=\"c\\\"d\""),
            [Challenge::Basic, bearer("c\"d", None, None)]
        );
        assert_eq!(parse("Negotiate abc=, Basic"), [Challenge::Basic]);
    }

    #[test]
    fn junk_ends_and_gives_nothing() {
        for junk in
            ["", "Bearer", "Bearer service=\"x\"", "=", "\"", ",,,", "Bearer realm", "ä", "Bearer realm=\"unfinished"]
        {
            let found = parse(junk);
            assert!(found.len() <= 1, "{junk:?} {found:?}");
        }
    }
}
