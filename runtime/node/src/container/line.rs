// SPDX-License-Identifier: Apache-2.0
//! The line to a container: which shim currently reports on its processes, and what is in progress when none does.
//!
//! ```text
//!            begin_start            attach
//!    Down ───────────────▶ Starting ──────▶ Up ◀──┐ attach
//!     ▲ │ ◀── end_start ──────┘            │ ▲    │
//!     │ └───────────── look ────────────┐  │ lose │
//!     ├◀──────────── find_nothing ──── Looking ◀──┘
//!     │
//!     ├◀─ settled ── Settling ◀── settle: from every state but Starting and itself
//!                       ▲ │ fail
//!                       │ ▼
//!                     Owing
//! ```
//!
//! The line is not the container's own state: that is [`super::State`], and only the keeper changes it, according to what
//! a shim reports over this line.

use gorae_shims::Shim;
use tokio::sync::oneshot;

/// Makes a start in progress give up.
pub type GiveUp = oneshot::Sender<()>;

/// The line to a container; see the module documentation.
#[derive(Debug, Default)]
pub enum Line {
    /// It has no shim: none has been started, or the last one is gone and everything is settled.
    #[default]
    Down,
    /// A start is in progress in this daemon, but has no shim yet.
    Starting(GiveUp),
    /// Its shim is being looked for.
    Looking,
    /// Its shim is connected.
    Up(Connected),
    /// Its shim is gone or hangs, and a one-off shim cleans up what is left of the container.
    Settling,
    /// Settling failed, and is retried periodically.
    Owing,
}

/// A connected shim.
#[derive(Debug)]
pub struct Connected {
    shim: Shim,
    /// Set while the start that made the shim is in progress in this daemon.
    start: Option<GiveUp>,
    /// The shim's last report about a stop that does not finish.
    stuck: Option<String>,
}

impl Line {
    /// Begins a start; false when something else is in progress.
    pub fn begin_start(&mut self, give_up: GiveUp) -> bool {
        let free = matches!(self, Self::Down);
        if free {
            *self = Self::Starting(give_up);
        }
        free
    }

    /// Ends a start, whatever its result.
    pub fn end_start(&mut self) {
        match self {
            Self::Starting(_) => *self = Self::Down,
            Self::Up(up) => up.start = None,
            _ => {}
        }
    }

    /// Connects a shim that was started or found; false when it is too late, and the shim must be left alone.
    pub fn attach(&mut self, shim: Shim) -> bool {
        let start = match std::mem::take(self) {
            Self::Starting(give_up) => Some(give_up),
            Self::Looking => None,
            other => {
                *self = other;
                return false;
            }
        };
        *self = Self::Up(Connected { shim, start, stuck: None });
        true
    }

    /// Records that the connection to this shim has ended; the caller then looks for it. False when the line has another
    /// shim or none.
    pub fn lose(&mut self, ended: &Shim) -> bool {
        let same = matches!(self, Self::Up(up) if up.shim.is(ended));
        if same {
            *self = Self::Looking;
        }
        same
    }

    /// Begins a look for the shim; false when one is in progress or not needed.
    pub fn look(&mut self) -> bool {
        let free = matches!(self, Self::Down);
        if free {
            *self = Self::Looking;
        }
        free
    }

    /// Ends a look: there is no shim, and nothing is left to settle.
    pub fn find_nothing(&mut self) {
        if matches!(self, Self::Looking) {
            *self = Self::Down;
        }
    }

    /// Begins to settle; false when the caller has to wait for something in progress.
    pub fn settle(&mut self) -> bool {
        let free = !matches!(self, Self::Starting(_) | Self::Settling);
        if free {
            *self = Self::Settling;
        }
        free
    }

    /// Records that the one-off shim is done, and whether it settled everything.
    pub fn settled(&mut self, everything: bool) {
        if matches!(self, Self::Settling) {
            *self = if everything { Self::Down } else { Self::Owing };
        }
    }

    /// The connected shim.
    pub fn shim(&self) -> Option<&Shim> {
        self.callable().ok()
    }

    /// Whether a start is in progress in this daemon.
    pub fn is_starting(&self) -> bool {
        match self {
            Self::Starting(give_up) => !give_up.is_closed(),
            Self::Up(up) => up.start.as_ref().is_some_and(|give_up| !give_up.is_closed()),
            _ => false,
        }
    }

    /// Makes the start in progress in this daemon give up.
    pub fn give_up_start(&mut self) {
        match self {
            Self::Starting(_) => {
                if let Self::Starting(give_up) = std::mem::replace(self, Self::Starting(oneshot::channel().0)) {
                    // An error means that the start has just ended by itself.
                    let _ = give_up.send(());
                }
            }
            Self::Up(up) => {
                let _ = up.start.take().map(|give_up| give_up.send(()));
            }
            _ => {}
        }
    }

    /// Records what the shim reported about a stop that does not finish.
    pub fn is_stuck(&mut self, why: &str) {
        if let Self::Up(up) = self {
            up.stuck = Some(why.to_owned()).filter(|why| !why.is_empty());
        }
    }

    /// The shim's last report about a stop that does not finish.
    pub fn stuck(&self) -> Option<&str> {
        match self {
            Self::Up(up) => up.stuck.as_deref(),
            _ => None,
        }
    }

    /// The connected shim, or the reason why none can be called now.
    ///
    /// # Errors
    /// The reason, as part of a sentence.
    pub fn callable(&self) -> Result<&Shim, &'static str> {
        match self {
            Self::Up(up) => Ok(&up.shim),
            Self::Down | Self::Looking => Err("the container's shim is being reconnected; try again"),
            Self::Starting(_) => Err("the container is starting; try again"),
            Self::Settling | Self::Owing => {
                Err("the container's shim is gone or hangs, and the container is being ended")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shim() -> Shim {
        let (ours, _) = tokio::net::UnixStream::pair().expect("pair");
        Shim::new(ours, tokio::sync::mpsc::channel(1).0)
    }

    /// A line in each state; `own` is the shim of the lines that have one.
    fn lines(own: &Shim) -> [(Line, Option<oneshot::Receiver<()>>); 7] {
        let up = |start| Line::Up(Connected { shim: own.clone(), start, stuck: None });
        let ((one, first), (other, second)) = (oneshot::channel(), oneshot::channel());
        [
            (Line::Down, None),
            (Line::Starting(one), Some(first)),
            (Line::Looking, None),
            (up(None), None),
            (up(Some(other)), Some(second)),
            (Line::Settling, None),
            (Line::Owing, None),
        ]
    }

    fn name(line: &Line) -> &'static str {
        match line {
            Line::Down => "down",
            Line::Starting(_) => "starting",
            Line::Looking => "looking",
            Line::Up(up) if up.start.is_some() => "born",
            Line::Up(_) => "up",
            Line::Settling => "settling",
            Line::Owing => "owing",
        }
    }

    #[tokio::test]
    async fn every_event_in_every_state_leads_to_one_state() {
        let (own, other) = (shim(), shim());
        type Event<'a> = (&'a str, &'a dyn Fn(&mut Line), [&'a str; 7]);
        let events: [Event<'_>; 13] = [
            //                                            down       starting    looking    up         born       settling    owing
            ("none", &|_| {}, ["down", "starting", "looking", "up", "born", "settling", "owing"]),
            (
                "begin",
                &|line| {
                    line.begin_start(oneshot::channel().0);
                },
                ["starting", "starting", "looking", "up", "born", "settling", "owing"],
            ),
            ("end", &Line::end_start, ["down", "down", "looking", "up", "up", "settling", "owing"]),
            (
                "attach",
                &|line| {
                    line.attach(other.clone());
                },
                ["down", "born", "up", "up", "born", "settling", "owing"],
            ),
            (
                "lose",
                &|line| {
                    line.lose(&own);
                },
                ["down", "starting", "looking", "looking", "looking", "settling", "owing"],
            ),
            (
                "lose another",
                &|line| {
                    line.lose(&other);
                },
                ["down", "starting", "looking", "up", "born", "settling", "owing"],
            ),
            (
                "look",
                &|line| {
                    line.look();
                },
                ["looking", "starting", "looking", "up", "born", "settling", "owing"],
            ),
            ("find nothing", &Line::find_nothing, ["down", "starting", "down", "up", "born", "settling", "owing"]),
            (
                "settle",
                &|line| {
                    line.settle();
                },
                ["settling", "starting", "settling", "settling", "settling", "settling", "settling"],
            ),
            ("settled", &|line| line.settled(true), ["down", "starting", "looking", "up", "born", "down", "owing"]),
            ("owe", &|line| line.settled(false), ["down", "starting", "looking", "up", "born", "owing", "owing"]),
            ("give up", &Line::give_up_start, ["down", "starting", "looking", "up", "up", "settling", "owing"]),
            ("stuck", &|line| line.is_stuck("nfs"), ["down", "starting", "looking", "up", "born", "settling", "owing"]),
        ];
        for (event, act, expected) in events {
            for ((mut line, _receiver), expected) in lines(&own).into_iter().zip(expected) {
                let before = name(&line);
                act(&mut line);
                assert_eq!(name(&line), expected, "{event} when {before}");
            }
        }
    }

    #[tokio::test]
    async fn what_was_taken_up_is_said() {
        let (own, other) = (shim(), shim());
        let said = |act: &dyn Fn(&mut Line) -> bool| lines(&own).map(|(mut line, _receiver)| act(&mut line));
        assert_eq!(
            said(&|line| line.begin_start(oneshot::channel().0)),
            [true, false, false, false, false, false, false]
        );
        assert_eq!(said(&|line| line.attach(other.clone())), [false, true, true, false, false, false, false]);
        assert_eq!(said(&|line| line.lose(&own)), [false, false, false, true, true, false, false]);
        assert_eq!(said(&Line::look), [true, false, false, false, false, false, false]);
        assert_eq!(said(&Line::settle), [true, false, true, true, true, false, true]);
    }

    #[tokio::test]
    async fn a_shim_that_cannot_be_called_comes_with_a_reason() {
        let reasons = lines(&shim()).map(|(line, _receiver)| line.callable().map(drop).err().unwrap_or("can"));
        let parts = ["reconnected", "is starting", "reconnected", "can", "can", "being ended", "being ended"];
        for (reason, part) in reasons.into_iter().zip(parts) {
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_start_is_given_up_once_before_and_after_its_shim_is_there() {
        let own = shim();
        for (mut line, receiver) in lines(&own) {
            let (Some(mut receiver), starting) = (receiver, line.is_starting()) else { continue };
            assert!(starting);
            line.give_up_start();
            assert_eq!(receiver.try_recv(), Ok(()));
            assert!(!line.is_starting());
            line.give_up_start();
        }
    }

    #[tokio::test]
    async fn what_a_shim_says_of_a_stop_goes_with_its_connection() {
        let own = shim();
        let mut line = Line::Up(Connected { shim: own.clone(), start: None, stuck: None });
        line.is_stuck("pid 5 in D");
        assert_eq!(line.stuck(), Some("pid 5 in D"));
        line.is_stuck("");
        assert_eq!(line.stuck(), None);
        line.is_stuck("pid 5 in D");
        line.lose(&own);
        assert_eq!((line.stuck(), line.shim().is_some()), (None, false));
    }
}
