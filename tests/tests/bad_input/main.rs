// SPDX-License-Identifier: Apache-2.0
//! Wrong requests: the right code, a sentence with the object in it, and nothing half-made.

mod config;
mod ids;
mod sizes;
mod states;

use tonic::Code;

/// The code of a failed call, for calls that must fail.
fn code<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> Code {
    let status = answer.expect_err("the call must fail");
    assert!(!status.message().is_empty(), "an error without words: {status:?}");
    status.code()
}
