//! Files of settings: TOML or JSON, checked against the JSON Schema of the settings' type before they become a value of
//! it.
//!
//! The schema, made by `schemars` from the type, holds what a key takes: its kind, its range, its length, an example. So
//! the program, the settings reference and an editor refuse the same, and every message names the key with its full path,
//! what was found, what is expected, an example, and the file's line or the option that it came from.

mod near_names;
mod node;
mod schema;
mod example;
mod known;
mod error;
mod set;
mod file;

pub use error::{Error, Fault, Place};
pub use file::SettingsFile;
pub use known::check_json;
pub use near_names::{did_you_mean, near_names};
pub use schema::{Schema, schema_of};
pub use set::Set;

#[cfg(test)]
mod tests;
