// SPDX-License-Identifier: Apache-2.0
//! Every field of every request: the table `tests/fields.tsv` says which test would fail if the field were ignored, and
//! here are those that no other suite has.

mod answers;
mod features;
mod identity;
mod images;
mod lists;
mod mounts;
mod namespaces;
mod pods;
mod resources;
mod security;
mod streams;
mod table;
