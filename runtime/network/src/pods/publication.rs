// SPDX-License-Identifier: Apache-2.0
//! Whether the host ports of a pod belong in the table, and whether they may be in it.
//!
//! ```text
//!            Want             Unwant                 Removed: nft said so
//! Reserved ────────► Wanted ────────► Unwanted ──────────────────────────► Reserved, its ports are free
//!    │                  │  ▲             │ │ Want
//!    │ Forget           │  └─────────────┼─┘
//!    ▼                  │ Forget         │ Forget    Removed
//!  gone                 └────────────────┴► Forgotten ───────► gone, its address is free
//! ```
//! While the ports may be in the table, the pod's address is not given to a new pod: a stale rule must not send another
//! pod's traffic to it. Forgetting such a pod only marks it; the next rewrite of the table settles it.

/// How the host ports of a pod stand to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publication {
    /// They are not in the table.
    Reserved,
    /// They belong in the table, and may be in it.
    Wanted,
    /// They do not belong in the table, but may be in it.
    Unwanted,
    /// As `Unwanted`, and the pod is gone.
    Forgotten,
}

/// What happens to a pod that has host ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// They are about to be put into the table.
    Want,
    /// They are about to be taken out of the table.
    Unwant,
    /// nft says that they are out of the table.
    Removed,
    /// The pod is gone.
    Forget,
}

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next state.
    Become(Publication),
    /// Its host ports are free, and it is reserved without them.
    LetGo,
    /// Its reservation ends.
    Drop,
    /// Nothing: the pod is gone.
    Refuse,
}

impl Publication {
    /// The step that an event asks for.
    pub(super) fn after(self, event: Event) -> Step {
        use Publication::{Forgotten, Reserved, Unwanted, Wanted};
        match (self, event) {
            (Reserved | Wanted | Unwanted, Event::Want) => Step::Become(Wanted),
            (Forgotten, Event::Want) => Step::Refuse,
            (Wanted | Unwanted, Event::Unwant) => Step::Become(Unwanted),
            (Wanted | Unwanted, Event::Forget) | (Forgotten, Event::Unwant | Event::Forget) => Step::Become(Forgotten),
            // They were wanted again in the meantime.
            (Wanted, Event::Removed) => Step::Become(Wanted),
            (Reserved, Event::Unwant | Event::Removed) | (Unwanted, Event::Removed) => Step::LetGo,
            (Reserved, Event::Forget) | (Forgotten, Event::Removed) => Step::Drop,
        }
    }

    /// Whether the host ports may be in the table.
    pub(super) fn may_be_in_table(self) -> bool {
        self != Self::Reserved
    }

    /// Whether the host ports may be in the table, but do not belong there.
    pub(super) fn is_leaving(self) -> bool {
        matches!(self, Self::Unwanted | Self::Forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_step_for_each_event() {
        use Publication::{Forgotten, Reserved, Unwanted, Wanted};
        use Step::{Become, Drop, LetGo, Refuse};
        let events = [Event::Want, Event::Unwant, Event::Removed, Event::Forget];
        let table = [
            (Reserved, [Become(Wanted), LetGo, LetGo, Drop]),
            (Wanted, [Become(Wanted), Become(Unwanted), Become(Wanted), Become(Forgotten)]),
            (Unwanted, [Become(Wanted), Become(Unwanted), LetGo, Become(Forgotten)]),
            (Forgotten, [Refuse, Become(Forgotten), Drop, Become(Forgotten)]),
        ];
        for (state, steps) in table {
            for (event, step) in events.into_iter().zip(steps) {
                assert_eq!(state.after(event), step, "{state:?} {event:?}");
            }
        }
        assert_eq!(table.map(|(state, _)| state.may_be_in_table()), [false, true, true, true]);
        assert_eq!(table.map(|(state, _)| state.is_leaving()), [false, false, true, true]);
    }
}
