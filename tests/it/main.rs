//! Every integration test, in one binary so that it links once.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should panic")]

mod annotations;
mod architecture;
mod bad_input;
mod cli;
mod compressed;
mod demo;
mod fixture;
mod images;
mod kill;
mod line;
mod luna16;
mod networks;
mod python;
mod real;
mod series;
mod wiring;
