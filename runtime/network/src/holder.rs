// SPDX-License-Identifier: Apache-2.0
//! Who has a host port that was refused.

use crate::error::NetworkError;
use crate::reservation;
use crate::state::blocking;

/// Adds the name of the process that has the port to the error, if it is about one and can be found.
pub async fn name_holder(error: NetworkError) -> NetworkError {
    let place = match &error {
        NetworkError::HostPortTaken { place, holder } if holder == reservation::SOME_PROCESS => *place,
        _ => return error,
    };
    match blocking(move || Ok(reservation::holder(&place))).await.ok().flatten() {
        Some(holder) => NetworkError::HostPortTaken { place, holder },
        None => error,
    }
}
