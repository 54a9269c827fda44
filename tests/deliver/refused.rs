//! What an archive does not take, and whom the job does not trust.

use crate::job::{Way, add, assert_all_sent, objects, scored};
use crate::nightly_job::files;
use crate::orthanc::{Orthanc, PASSWORD};
use crate::relay::Relay;
use fs_err as fs;
use nodulus_test_needs::{Need, skip};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

#[test]
fn an_archive_that_does_not_know_us_is_left_at_once_and_secrets_are_told_to_nobody() {
    let Some(orthanc) = Orthanc::start() else { return };
    for (way, change, expected) in [
        (Way::StowRs, "", "it does not let us in (HTTP 401)"),
        (Way::CStore, "called_ae = \"OTHER\"\n", "it refuses the association"),
    ] {
        let job = scored();
        let secret = "hunter2-is-not-the-password";
        fs::write(job.folder.path().join("password"), secret).unwrap();
        let section = way.section(way.port(&orthanc)).replace("called_ae = \"ORTHANC\"\n", change);
        add(&job, &section);
        let (summary, log) = job.run(3, &["--log", "json"]);
        let counts = &summary["deliveries"]["pacs"];
        let n = objects(&job).len() - 1;
        assert_eq!((&counts["failed"], &counts["left"]), (&1.into(), &n.into()), "{summary}");
        let cause = summary["delivery_failures"][0]["cause"].as_str().unwrap();
        assert!(cause.contains(expected), "{cause}");
        let status = job.status().to_string();
        let holds = |text: &[u8]| {
            [secret, PASSWORD]
                .iter()
                .any(|s| text.windows(s.len()).any(|part| part == s.as_bytes()))
        };
        assert!(!holds(log.as_bytes()) && !holds(status.as_bytes()));
        assert!(!holds(summary.to_string().as_bytes()));
        for (path, bytes) in files(&job.store()) {
            assert!(!holds(&bytes), "{}", path.display());
        }
    }
    assert_eq!(orthanc.instances().len(), 0);
}

#[test]
fn a_night_without_its_secret_stops_before_it_scores() {
    let job = scored();
    add(&job, &Way::StowRs.section(1));
    let password = job.folder.path().join("password");
    fs::write(&password, "two\nlines").unwrap();
    for expected in ["several lines", "password"] {
        let output = job.command(&[]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("`score.deliver.pacs`") && error.contains(expected), "{error}");
        let _ = fs::remove_file(&password);
    }
}

#[test]
fn a_bearer_token_is_sent_as_it_is_in_its_file() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let job = scored();
    let n = objects(&job).len();
    let archive = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for _ in 0..n {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
            // The end of a body of one part.
            while !request.ends_with(b"--\r\n") {
                let read = stream.read(&mut bytes).unwrap();
                assert!(read > 0);
                request.extend(&bytes[..read]);
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            requests.push(String::from_utf8_lossy(&request).into_owned());
        }
        requests
    });
    fs::write(job.folder.path().join("token"), "eyJ0.abc-_.x=\n").unwrap();
    let section = format!(
        "[score.deliver.archive]\nurl = \"http://127.0.0.1:{port}/root/\"\ntoken_file = \"token\"\n"
    );
    add(&job, &section);
    let (summary, log) = job.run(0, &[]);
    assert_eq!(summary["deliveries"]["archive"]["stored"], n, "{log}");
    for request in archive.join().unwrap() {
        let (head, _) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("POST /root/studies HTTP/1.1"));
        let headers: Vec<String> = lines.map(str::to_lowercase).collect();
        assert!(headers.contains(&"authorization: bearer eyj0.abc-_.x=".to_owned()), "{head}");
        assert!(headers.contains(&"accept: application/dicom+json".to_owned()), "{head}");
    }
}

/// Makes an authority, and a certificate of 127.0.0.1 by it. Without openssl the check is skipped.
fn certificates(folder: &Path) -> Option<()> {
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout key.pem -out request.pem
        printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > extensions
        openssl x509 -req -days 2 -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out own.pem";
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    if !output.status.success() {
        skip(Need::Peer, "no certificates can be made: install the Debian package `openssl`");
        return None;
    }
    Some(())
}

#[test]
fn https_is_for_archives_with_a_certificate_of_a_trusted_authority() {
    let folder = tempfile::tempdir().unwrap();
    if certificates(folder.path()).is_none() {
        return;
    }
    let Some(orthanc) = Orthanc::start() else { return };
    let [certificate, key] = ["own.pem", "key.pem"].map(|name| folder.path().join(name));
    let relay = Relay::with_tls(orthanc.http, &certificate, &key);
    let job = scored();
    let trusted = folder.path().join("ca.pem");
    let section = Way::StowRs.section(relay.port).replace("http:", "https:");
    add(&job, &format!("{section}certificates = {:?}\n", trusted.to_str().unwrap()));
    // Not the authority of this certificate.
    let other = tempfile::tempdir().unwrap();
    certificates(other.path()).unwrap();
    let ca = fs::read(&trusted).unwrap();
    fs::copy(other.path().join("ca.pem"), &trusted).unwrap();
    let (summary, _) = job.run(3, &[]);
    let cause = summary["delivery_failures"][0]["cause"].as_str().unwrap();
    assert!(cause.starts_with("its certificate is not of an authority"), "{cause}");
    fs::write(&trusted, "no certificate").unwrap();
    let output = job.command(&[]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("holds no certificate"), "{error}");
    fs::write(&trusted, ca).unwrap();
    let (summary, log) = job.run(0, &[]);
    assert_eq!(summary["deliveries"]["pacs"]["stored"], objects(&job).len(), "{log}");
    assert_all_sent(&job, &orthanc);
}
