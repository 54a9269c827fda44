//! Orthanc as a test starts, stops and asks it.

use fs_err as fs;
use nodulus_test_needs::{Need, skip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Title that Orthanc takes; another one is refused.
pub(crate) const TITLE: &str = "ORTHANC";
pub(crate) const USER: &str = "nodulus";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// An Orthanc with a folder of its own.
pub(crate) struct Orthanc {
    folder: tempfile::TempDir,
    program: PathBuf,
    plugin: PathBuf,
    pub(crate) http: u16,
    pub(crate) dicom: u16,
    settings: Value,
    child: Option<Child>,
}

impl Drop for Orthanc {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn first(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

impl Orthanc {
    /// Starts Orthanc. Without it the check is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(json!({}))
    }

    /// Starts Orthanc with further settings.
    pub(crate) fn start_with(settings: Value) -> Option<Self> {
        let program = first(&["/usr/sbin/Orthanc", "/usr/bin/Orthanc", "/usr/local/sbin/Orthanc"]);
        let plugins =
            ["/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins"];
        let plugins = plugins.map(|folder| format!("{folder}/libOrthancDicomWeb.so"));
        let plugin = first(&plugins.each_ref().map(String::as_str));
        let Some((program, plugin)) = program.zip(plugin) else {
            skip(
                Need::Peer,
                "no Orthanc: install the Debian packages `orthanc` and `orthanc-dicomweb`",
            );
            return None;
        };
        let mut orthanc = Self {
            folder: tempfile::tempdir().unwrap(),
            program,
            plugin,
            http: free_port(),
            dicom: free_port(),
            settings,
            child: None,
        };
        orthanc.run();
        Some(orthanc)
    }

    /// Starts it again on what it has stored.
    pub(crate) fn run(&mut self) {
        let database = self.folder.path().join("db");
        let mut settings = json!({
            "Name": "test",
            "StorageDirectory": database,
            "IndexDirectory": database,
            "Plugins": [self.plugin],
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": TITLE,
            "DicomCheckCalledAet": true,
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": true,
            "RegisteredUsers": {USER: PASSWORD},
            "OverwriteInstances": false,
            "SyncStorageArea": false,
            "DicomWeb": {"Enable": true, "Root": "/dicom-web/"},
        });
        for (key, value) in self.settings.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let file = self.folder.path().join("orthanc.json");
        fs::write(&file, settings.to_string()).unwrap();
        let log = fs::File::create(self.folder.path().join("log")).unwrap().into_parts().0;
        let child = Command::new(&self.program)
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_mins(1);
        let is_up = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !(is_up(self.http) && is_up(self.dicom)) {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(Instant::now() < until, "Orthanc does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, which leaves what it has answered for.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let mut response = ureq::get(url).header("Authorization", authorization()).call().unwrap();
        response.body_mut().read_to_vec().unwrap()
    }

    /// Its instances: the id that it gave each, by UID.
    pub(crate) fn instances(&self) -> BTreeMap<String, String> {
        let all: Vec<Value> = serde_json::from_slice(&self.get("/instances?expand")).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let n = all.len();
        let by_uid: BTreeMap<String, String> = all
            .iter()
            .map(|one| (text(&one["MainDicomTags"]["SOPInstanceUID"]), text(&one["ID"])))
            .collect();
        assert_eq!(by_uid.len(), n, "a UID is there twice");
        by_uid
    }

    /// The file of an instance as it stored it.
    pub(crate) fn file(&self, id: &str) -> Vec<u8> {
        self.get(&format!("/instances/{id}/file"))
    }
}

fn authorization() -> String {
    use base64::Engine as _;
    let text = format!("{USER}:{PASSWORD}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}
