// SPDX-License-Identifier: Apache-2.0
//! Networks of people on a real kernel, with the real shim: each test is its own node, in its own network namespace, with
//! pods that are namespaces too and real connections between them. Needs root, ip(8), nft(8), unshare(1), and gorae-shim
//! beside the tests (`cargo build -p gorae-shim`) or where GORAE_SHIM says.

mod killed;
mod life;
mod places;
mod repair;
mod stage;
mod traffic;
