//! Ends the program on a signal as ever, but removes its temporary folders first.

use nodulus_formats::archive::remove_temporary_folders;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// Has SIGTERM and SIGINT remove temporary folders before they end the program. A second signal ends it at once.
///
/// # Errors
///
/// Fails if the system has no handle or thread left.
pub(super) fn remove_temporary_folders_first() -> io::Result<()> {
    for signal in [SIGTERM, SIGINT] {
        let (mut arrived, sender) = UnixStream::pair()?;
        let is_second = Arc::new(AtomicBool::new(false));
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_default(signal, Arc::clone(&is_second))?;
        flag::register(signal, is_second)?;
        pipe::register(signal, sender)?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if arrived.read_exact(&mut [0]).is_ok() {
                remove_temporary_folders();
                end(signal);
            }
        })?;
    }
    Ok(())
}

/// Ends the program as the signal does.
#[expect(clippy::exit, reason = "the signal asks for it")]
fn end(signal: i32) -> ! {
    // It returns where the system refuses.
    let _ = emulate_default_handler(signal);
    process::exit(128 + signal)
}
