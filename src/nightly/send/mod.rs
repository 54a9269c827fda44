//! Sends the DICOM objects of results to archives by C-STORE and STOW-RS, once each; `docs/delivery.md`.
//!
//! The connections themselves are compiled with cargo's feature `deliver` alone: without it the program has no network code,
//! and a file of settings with `[score.deliver]` is refused.
#![cfg_attr(
    not(any(feature = "deliver", test)),
    expect(dead_code, reason = "what only connections use is there to be tested")
)]

pub mod settings;
mod credentials;
mod object;
mod archive;
#[cfg(feature = "deliver")]
mod c_store;
mod store_answer;
#[cfg(feature = "deliver")]
mod stow_rs;
mod multipart;
mod stow_answer;
mod open;
mod back_off;
pub(crate) mod night;

pub use open::Error;
