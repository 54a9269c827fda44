//! Tells faults of the machine and of the program from faults of a file, and what a message quotes of data.
//!
//! A damaged file fails whenever it is read, so its failure is a result. A full disk, a network that is away or a panic says
//! nothing about the file: the same file may be read tomorrow.
//!
//! ```
//! use nodulus_faults::FaultClass;
//! use std::io;
//!
//! let damaged = io::Error::new(io::ErrorKind::InvalidData, "no gzip");
//! assert_eq!(FaultClass::of(&damaged), FaultClass::Content);
//! let full = io::Error::from(io::ErrorKind::StorageFull);
//! assert_eq!(FaultClass::of(&full), FaultClass::Machine);
//! assert!(nodulus_faults::is_disk_full(&full));
//! ```

pub mod quoted;
mod file_error;
mod class;
mod panicked;
mod caught;
mod words;
mod watch;
pub mod fs;
pub mod retry;

pub use caught::caught;
pub use class::{FaultClass, is_disk_full, os_error};
pub use file_error::FileError;
pub use panicked::Panicked;
pub use watch::{Watch, WatchedFault};
pub use words::in_words;
