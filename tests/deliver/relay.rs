//! A relay between the job and an archive, which counts, delays and cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Default)]
struct State {
    connections: AtomicU64,
    /// Milliseconds that each piece of an answer is held back.
    delay: AtomicU64,
    /// Bytes of the next connections that pass to the archive before they are cut, one number a cut; 0 for none.
    cuts_left: AtomicI64,
    cut_after: AtomicI64,
}

/// A relay on a port of its own, until the process ends.
pub(crate) struct Relay {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Relay {
    pub(crate) fn new(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // An archive that is down closes the connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                relay(client, server, &shared);
            }
        });
        Self { port, state }
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Holds each piece of an answer back.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.delay.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Cuts as many of the next connections after as many bytes to the archive.
    pub(crate) fn cut(&self, n: i64, after: i64) {
        self.state.cut_after.store(after, Ordering::SeqCst);
        self.state.cuts_left.store(n, Ordering::SeqCst);
    }

    /// How many connections are yet to be cut.
    pub(crate) fn cuts_left(&self) -> i64 {
        self.state.cuts_left.load(Ordering::SeqCst)
    }
}

fn relay(client: TcpStream, server: TcpStream, state: &Arc<State>) {
    let [mut from_client, mut from_server] =
        [&client, &server].map(|stream| stream.try_clone().unwrap());
    let (mut to_client, mut to_server) = (client, server);
    let shared = Arc::clone(state);
    std::thread::spawn(move || {
        let mut passed = 0;
        let mut bytes = [0; 1024];
        while let Ok(n @ 1..) = from_client.read(&mut bytes) {
            passed += n as i64;
            let is_cut = shared.cuts_left.load(Ordering::SeqCst) > 0
                && passed > shared.cut_after.load(Ordering::SeqCst);
            if is_cut {
                shared.cuts_left.fetch_sub(1, Ordering::SeqCst);
                let _ = from_client.shutdown(Shutdown::Both);
                break;
            }
            if to_server.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let shared = Arc::clone(state);
    std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            std::thread::sleep(Duration::from_millis(shared.delay.load(Ordering::SeqCst)));
            if to_client.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}
