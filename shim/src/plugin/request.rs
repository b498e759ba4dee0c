// SPDX-License-Identifier: Apache-2.0
//! A plugin to run, checked.

use crate::failure;
use crate::malformed::{Malformed, Result, absolute, each, non_empty};
use crate::wire::RunPlugin;
use std::path::PathBuf;
use std::time::Duration;

/// The most output that can be asked for; a reply must fit into a frame.
const MAX_OUTPUT: u32 = 8 << 20;

/// A plugin to run: a checked [`RunPlugin`].
#[derive(Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The program.
    pub path: PathBuf,
    /// What follows its name: network plugins get nothing there, other programs do.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Its standard input.
    pub input: Vec<u8>,
    /// How long all of it may take.
    pub limit: Duration,
    /// The most bytes on its standard output.
    pub max_output: usize,
    /// The directory to lock.
    pub lock: Option<PathBuf>,
}

impl Plugin {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: RunPlugin) -> failure::Result<Self> {
        Ok(check(request)?)
    }
}

fn check(request: RunPlugin) -> Result<Plugin> {
    if request.timeout_ms == 0 {
        return Err(Malformed::new("timeout_ms", "is 0"));
    }
    if request.max_output > MAX_OUTPUT {
        return Err(Malformed::new("max_output", format!("{} is more than {MAX_OUTPUT}", request.max_output)));
    }
    Ok(Plugin {
        path: absolute("path", request.path)?.into(),
        arguments: Vec::new(),
        environment: each("environment", request.environment, variable)?,
        input: request.input,
        limit: Duration::from_millis(request.timeout_ms.into()),
        max_output: request.max_output as usize,
        lock: non_empty(request.lock).map(|path| absolute("lock", path)).transpose()?.map(PathBuf::from),
    })
}

fn variable(text: String) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Malformed::new("", "is not NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RunPlugin {
        RunPlugin { path: "/p".into(), environment: vec!["A=b=c".into()], timeout_ms: 5, ..Default::default() }
    }

    #[test]
    fn every_malformed_field_is_named() {
        let plugin = Plugin::checked(request()).unwrap();
        assert_eq!(plugin.environment, [("A".to_owned(), "b=c".to_owned())]);
        let rows = [
            ("path:", (|r| r.path = "p".into()) as fn(&mut RunPlugin)),
            ("environment[0]:", |r| r.environment = vec!["x".into()]),
            ("environment[1]:", |r| r.environment.push("=x".into())),
            ("timeout_ms:", |r| r.timeout_ms = 0),
            ("max_output:", |r| r.max_output = u32::MAX),
            ("lock:", |r| r.lock = "l".into()),
        ];
        for (field, change) in rows {
            let mut wrong = request();
            change(&mut wrong);
            let failure = Plugin::checked(wrong).unwrap_err();
            assert!(failure.message.starts_with(&format!("check request {field}")), "{}", failure.message);
        }
    }
}
