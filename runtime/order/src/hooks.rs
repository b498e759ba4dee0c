// SPDX-License-Identifier: Apache-2.0
//! Programs that run at points of a container's life. Only CDI devices bring them.

use std::time::Duration;

/// A program.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// When it runs.
    pub point: Point,
    /// Its file, absolute: on the node, or in the container for [`Point::StartContainer`].
    pub path: &'a str,
    /// Its arguments with its own name; none: the path alone.
    pub args: &'a [String],
    /// Its variables, `NAME=VALUE`.
    pub env: &'a [String],
    /// How long it may take; `None`: as long as one may that says nothing.
    pub timeout: Option<Duration>,
}

/// A point of a container's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The older name of [`Point::CreateRuntime`], and before it.
    Prestart,
    /// Everything is mounted; in the node's namespaces.
    CreateRuntime,
    /// Right after; in the container's namespaces, with the files of the node still there.
    CreateContainer,
    /// Right before the program; in the container.
    StartContainer,
    /// The program runs.
    Poststart,
    /// The container has ended.
    Poststop,
}

impl Point {
    /// All of them, in the order of a container's life.
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

    /// The point of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.name() == name)
    }
}

/// The directory that the hooks of a container with this run directory find as its bundle.
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
