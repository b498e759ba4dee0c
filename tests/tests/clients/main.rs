// SPDX-License-Identifier: Apache-2.0
//! Clients of other make than kubelet's, and clients that mean harm: what they get, and what it costs the daemon.

mod bounds;
mod grpcio;
