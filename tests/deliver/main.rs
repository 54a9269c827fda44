//! Sending results to a real archive, Orthanc, on this machine's loopback. It needs the feature `deliver`.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should panic")]
#![expect(clippy::disallowed_types, reason = "the feature `deliver` is for the network")]

#[path = "../it/fixture.rs"]
#[expect(dead_code, reason = "the other integration tests use more of it")]
mod fixture;
#[path = "../it/nightly_job.rs"]
#[expect(dead_code, reason = "the other integration tests use more of it")]
mod nightly_job;
mod orthanc;
mod relay;
mod job;
mod sent_once;
mod refused;
