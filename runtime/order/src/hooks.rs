// SPDX-License-Identifier: Apache-2.0
//! Programs that run at certain points of a container's life. Only CDI devices add them.

use std::time::Duration;

/// A hook program.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// When it runs.
    pub point: Point,
    /// Its absolute path: on the node, or in the container for [`Point::StartContainer`].
    pub path: &'a str,
    /// Its arguments, starting with its own name; empty: only the path.
    pub args: &'a [String],
    /// Its variables, `NAME=VALUE`.
    pub env: &'a [String],
    /// Time limit; `None`: the default limit.
    pub timeout: Option<Duration>,
}

/// A point of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The older name of [`Point::CreateRuntime`]; runs before it.
    Prestart,
    /// After everything is mounted; runs in the node's namespaces.
    CreateRuntime,
    /// Right after that; runs in the container's namespaces, where the node's files are still visible.
    CreateContainer,
    /// Right before the program starts; runs in the container.
    StartContainer,
    /// After the program has started.
    Poststart,
    /// After the container has ended.
    Poststop,
}

impl Point {
    /// All points, in the order of a container's life.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The name in the OCI runtime specification.
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

    /// The point with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.name() == name)
    }
}

/// The bundle directory that hooks are given, for a container with this run directory.
pub fn bundle(run_dir: &str) -> String {
    format!("{run_dir}/bundle")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_its_name() {
        assert_eq!(Point::ALL.map(|point| Point::parse(point.name())), Point::ALL.map(Some));
        assert_eq!(Point::parse("createruntime"), None);
    }
}
