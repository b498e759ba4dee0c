// SPDX-License-Identifier: Apache-2.0
//! How much a failed call matters to an operator: the level at which it is logged.

use super::method::Kind;
use tonic::Code;
use tracing::Level;

/// The level of a failure.
///
/// An error needs an operator to act: something here is broken. A warning is for an operator to know: a client did not
/// get what it asked for. The rest happens on a healthy node all the time: a query for an object that was just removed,
/// a probe of a program that does not answer, a client that disconnects, a call that is not implemented.
pub fn of(kind: Kind, code: Code) -> Level {
    match (kind, code) {
        // The code for a registry that cannot be reached: clients recognise that failure by its text.
        (Kind::Fetches, Code::Unknown) => Level::WARN,
        (_, Code::Internal | Code::Unknown | Code::DataLoss) => Level::ERROR,
        (_, Code::Ok | Code::Cancelled | Code::Unimplemented) => Level::INFO,
        (Kind::Reads | Kind::Watches | Kind::Enters, Code::NotFound) => Level::INFO,
        (Kind::Enters, Code::FailedPrecondition | Code::InvalidArgument | Code::DeadlineExceeded) => Level::INFO,
        _ => Level::WARN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breakage_is_an_error_and_an_everyday_failure_is_not() {
        for (kind, code, level) in [
            (Kind::Reads, Code::Internal, Level::ERROR),
            (Kind::Enters, Code::Unknown, Level::ERROR),
            (Kind::Changes, Code::DataLoss, Level::ERROR),
            (Kind::Fetches, Code::Internal, Level::ERROR),
            (Kind::Fetches, Code::Unknown, Level::WARN),
            (Kind::Fetches, Code::NotFound, Level::WARN),
            (Kind::Changes, Code::NotFound, Level::WARN),
            (Kind::Changes, Code::ResourceExhausted, Level::WARN),
            (Kind::Changes, Code::DeadlineExceeded, Level::WARN),
            (Kind::Reads, Code::ResourceExhausted, Level::WARN),
            (Kind::Watches, Code::ResourceExhausted, Level::WARN),
            (Kind::Reads, Code::NotFound, Level::INFO),
            (Kind::Enters, Code::DeadlineExceeded, Level::INFO),
            (Kind::Changes, Code::Cancelled, Level::INFO),
            (Kind::Reads, Code::Unimplemented, Level::INFO),
        ] {
            assert_eq!(of(kind, code), level, "{kind:?} {code:?}");
        }
    }
}
