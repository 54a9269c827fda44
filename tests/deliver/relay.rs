//! A relay between the job and an archive, which counts, delays and cuts connections.

use fs_err as fs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
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

    /// A relay that speaks TLS to the job. Orthanc can too, but that of Debian 12 crashes at the first connection.
    pub(crate) fn with_tls(to: u16, certificate: &Path, key: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(&fs::read(certificate).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&fs::read(key).unwrap()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                let config = Arc::clone(&config);
                std::thread::spawn(move || relay_tls(client, server, config));
            }
        });
        Self { port, state: Arc::default() }
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
        let mut bytes = vec![0; 65536];
        while let Ok(n @ 1..) = from_server.read(&mut bytes) {
            std::thread::sleep(Duration::from_millis(shared.delay.load(Ordering::SeqCst)));
            if to_client.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

/// Reads from both sides in turn, until one closes.
fn relay_tls(client: TcpStream, mut server: TcpStream, config: Arc<ServerConfig>) {
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    }
    let mut client = StreamOwned::new(ServerConnection::new(config).unwrap(), client);
    let is_pause = |error: &ErrorKind| matches!(error, ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let mut bytes = vec![0; 65536];
    loop {
        match client.read(&mut bytes).map_err(|error| error.kind()) {
            Ok(n @ 1..) => server.write_all(&bytes[..n]).unwrap(),
            Err(error) if is_pause(&error) => {}
            Ok(_) | Err(_) => return,
        }
        match server.read(&mut bytes).map_err(|error| error.kind()) {
            Ok(n @ 1..) => client.write_all(&bytes[..n]).unwrap(),
            Err(error) if is_pause(&error) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
