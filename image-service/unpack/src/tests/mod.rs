// SPDX-License-Identifier: Apache-2.0
//! Ordinary and hostile layers, through the whole unpacker. Needs root for owners, devices and `trusted.` attributes.

mod blob;
mod bounds;
mod escapes;
mod format;
mod members;
mod place;
mod whiteouts;
