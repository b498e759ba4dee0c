// SPDX-License-Identifier: Apache-2.0
//! The checked hooks of a container.

use crate::malformed::{Malformed, Result, absolute, each};
use crate::wire;
use std::path::PathBuf;
use std::time::Duration;

/// Time limit for a hook that sets none.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The same as `CreateRuntime`, under its old name.
    Prestart,
    /// On the host: everything is mounted, nothing pivoted.
    CreateRuntime,
    /// After that, in the container's namespaces.
    CreateContainer,
    /// Right before the program starts.
    StartContainer,
    /// The program runs.
    Poststart,
    /// The container has ended.
    Poststop,
}

impl Point {
    /// All points.
    const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// Its name in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The status in the state that a hook reads.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => "creating",
            Self::StartContainer => "created",
            Self::Poststart => "running",
            Self::Poststop => "stopped",
        }
    }
}

/// The hooks of one container.
#[derive(Debug)]
pub struct Hooks {
    pub(super) list: Vec<Hook>,
    /// The OCI state without status, pid and the closing brace.
    pub(super) state: String,
    pub(super) bundle: PathBuf,
    /// config.json.
    pub(super) config: Vec<u8>,
}

/// A program to run.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) point: Point,
    pub(super) path: String,
    /// With the program's own name; when empty, only the path.
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) limit: Duration,
}

impl Hooks {
    /// Checks the message.
    ///
    /// # Errors
    /// For an unknown point, and for invalid paths and variables.
    pub fn checked(hooks: wire::Hooks) -> Result<Self> {
        if !hooks.state.starts_with('{') {
            return Err(Malformed::new("state", "is not the beginning of an object"));
        }
        Ok(Self {
            list: each("hooks", hooks.hooks, hook)?,
            state: hooks.state,
            bundle: absolute("bundle", hooks.bundle)?.into(),
            config: hooks.config,
        })
    }

    /// Whether some hook runs before the pivot.
    pub fn any_before_pivot(&self) -> bool {
        [Point::Prestart, Point::CreateRuntime, Point::CreateContainer].into_iter().any(|point| self.has(point))
    }

    /// Whether some hook runs at this point.
    pub fn has(&self, point: Point) -> bool {
        self.list.iter().any(|hook| hook.point == point)
    }

    /// Where the container's root is mounted, in its own mount namespace, until the pivot.
    pub fn rootfs(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }
}

fn hook(hook: wire::Hook) -> Result<Hook> {
    let point = Point::ALL.into_iter().find(|point| point.name() == hook.name);
    let point = point.ok_or_else(|| Malformed::new("name", format!("{:?} is not a hook point", hook.name)))?;
    let variable = |text: String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Malformed::new("", "is not of the form NAME=value")),
    };
    let argument = |text: String| match text.contains('\0') {
        true => Err(Malformed::new("", "contains a NUL byte")),
        false => Ok(text),
    };
    Ok(Hook {
        point,
        path: absolute("path", hook.path)?,
        args: each("args", hook.args, argument)?,
        env: each("env", hook.env, variable)?,
        limit: if hook.timeout_ms == 0 { DEFAULT_LIMIT } else { Duration::from_millis(hook.timeout_ms.into()) },
    })
}
