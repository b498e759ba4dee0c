// SPDX-License-Identifier: Apache-2.0
//! Layers, honest and hostile, through the whole unpacker. Root is needed: owners, devices and `trusted.` attributes.

mod blob;
mod bounds;
mod escapes;
mod format;
mod members;
mod place;
mod whiteouts;
