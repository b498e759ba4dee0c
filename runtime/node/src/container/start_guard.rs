// SPDX-License-Identifier: Apache-2.0
//! A guard for a start in progress, which ends the start on the line on every way out.

use super::line::Line;
use super::object::Container;
use tokio::sync::oneshot;

/// A start in progress in this daemon. It can be made to give up, and dropping it ends the start on the line.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    container: &'a Container,
    given_up: oneshot::Receiver<()>,
}

impl<'a> Start<'a> {
    /// Begins a start; `None` when something else is in progress with the container's shim.
    pub(crate) fn begin(container: &'a Container) -> Option<Self> {
        let (give_up, given_up) = oneshot::channel();
        let begun = container.change_line(|line| line.begin_start(give_up));
        begun.then_some(Self { container, given_up })
    }

    /// Resolves when the start is to be given up.
    pub(crate) async fn given_up(&mut self) {
        if (&mut self.given_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.container.change_line(Line::end_start);
    }
}
