// SPDX-License-Identifier: Apache-2.0
//! What the responder has done since it started.

/// For one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCounters {
    /// The container's id.
    pub container: String,
    /// Messages that it sent.
    pub queries: u64,
    /// How often it was not read from for a moment, because it sent too many.
    pub pauses: u64,
    /// Its queries that wait for a server.
    pub open: u64,
    /// Its connections.
    pub connections: u64,
}

/// For all clients, with those that are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers from the table, and refusals of messages that are not questions.
    pub answered: u64,
    /// Questions that were passed on.
    pub relayed: u64,
    /// Questions that were not passed on, because too many waited already.
    pub refused: u64,
    /// Times that a server did not answer, or would not.
    pub failures: u64,
    /// Messages that came to where an answer was expected, and were not it.
    pub foreign: u64,
    /// The clients there are.
    pub clients: Vec<ClientCounters>,
}
