//! Objects arrive once, whatever happens to the job, the network and the archive.

use crate::job::{Way, add, assert_all_sent, objects, receipts, scored};
use crate::orthanc::{Orthanc, free_port};
use crate::relay::Relay;
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn objects_arrive_once_and_are_not_sent_again() {
    for way in Way::ALL {
        let Some(orthanc) = Orthanc::start() else { return };
        let relay = Relay::new(way.port(&orthanc));
        let job = scored();
        add(&job, &way.section(relay.port));
        let (summary, log) = job.run(0, &["--log", "json"]);
        assert_all_sent(&job, &orthanc);
        let n = objects(&job).len();
        assert_eq!(summary["deliveries"]["pacs"]["stored"], n, "{summary}");
        assert_eq!(log.matches("\"event\":\"delivered\"").count(), n, "{log}");
        assert_eq!(receipts(&job)[0]["status"], if way == Way::CStore { "0000" } else { "200" });
        // One association for the first class and one for both, or one connection for all; none in the next night.
        let connections = if way == Way::CStore { 2 } else { 1 };
        assert_eq!(relay.connections(), connections, "{way:?}");
        let (summary, _) = job.run(0, &[]);
        assert_eq!(summary["deliveries"]["pacs"]["stored"], 0);
        assert_eq!(relay.connections(), connections);
        assert_all_sent(&job, &orthanc);
    }
}

#[test]
fn objects_arrive_once_though_the_job_is_killed_while_it_sends() {
    for way in Way::ALL {
        let Some(orthanc) = Orthanc::start() else { return };
        let relay = Relay::new(way.port(&orthanc));
        // The archive has an object a while before the job hears of it.
        relay.delay(Duration::from_millis(300));
        let job = scored();
        add(&job, &way.section(relay.port));
        let n = objects(&job).len();
        for kill in 1..=n {
            let mut child = job
                .command(&["--log", "none"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let until = Instant::now() + Duration::from_mins(2);
            while orthanc.instances().len() < kill {
                assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{way:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(orthanc.instances().len(), kill, "{way:?}");
        }
        // The last object has arrived, and the job does not know.
        let (summary, _) = job.run(0, &[]);
        let counts = &summary["deliveries"]["pacs"];
        assert_eq!(
            counts["stored"].as_u64().unwrap() + counts["already_there"].as_u64().unwrap(),
            1
        );
        assert_all_sent(&job, &orthanc);
    }
}

#[test]
fn objects_arrive_once_though_connections_are_cut() {
    for way in Way::ALL {
        let Some(orthanc) = Orthanc::start() else { return };
        let relay = Relay::new(way.port(&orthanc));
        let job = scored();
        add(&job, &(way.section(relay.port) + "retry_seconds = 0.01\n"));
        relay.cut(4, 2000);
        let (summary, log) = job.run(0, &[]);
        assert_eq!(relay.cuts_left(), 0);
        assert_eq!(summary["deliveries"]["pacs"]["failed"], 0, "{log}");
        assert_all_sent(&job, &orthanc);
        assert!(receipts(&job).iter().any(|row| row["attempts"].as_u64() > Some(1)));
    }
}

#[test]
fn an_archive_that_was_away_gets_all_when_it_is_back() {
    for way in Way::ALL {
        let Some(mut orthanc) = Orthanc::start() else { return };
        let job = scored();
        let section = way.section(way.port(&orthanc)) + "retry_seconds = 0.2\nattempts = 3\n";
        add(&job, &section);
        orthanc.stop();
        let n = objects(&job).len();
        let (summary, log) = job.run(3, &[]);
        assert_eq!(summary["failed"], 0);
        let counts = &summary["deliveries"]["pacs"];
        assert_eq!((&counts["failed"], &counts["left"]), (&3.into(), &(n - 3).into()), "{summary}");
        let cause = summary["delivery_failures"][0]["cause"].as_str().unwrap();
        assert!(cause.starts_with("it does not answer ("), "{cause}");
        assert!(log.contains(" not delivered to pacs: "), "{log}");
        assert_eq!(job.status()["undelivered"].as_array().unwrap().len(), 3);
        // It comes back while the job waits between two tries.
        let mut child = job
            .command(&["--set", "score.deliver.pacs.attempts=12", "--log", "none"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(1));
        orthanc.run();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{way:?}");
        assert_all_sent(&job, &orthanc);
        // It goes and comes back with what it has.
        orthanc.stop();
        assert_eq!(job.run(0, &[]).0["deliveries"]["pacs"]["stored"], 0);
        orthanc.run();
        assert_all_sent(&job, &orthanc);
    }
}

#[test]
fn an_archive_that_takes_implicit_vr_alone_gets_the_same_values() {
    let implicit = json!({"AcceptedTransferSyntaxes": ["1.2.840.10008.1.2"]});
    let Some(orthanc) = Orthanc::start_with(implicit) else { return };
    let job = scored();
    add(&job, &Way::CStore.section(orthanc.dicom));
    job.run(0, &[]);
    assert_all_sent(&job, &orthanc);
    for id in orthanc.instances().values() {
        let object = dicom_object::from_reader(&orthanc.file(id)[..]).unwrap();
        assert_eq!(object.meta().transfer_syntax(), "1.2.840.10008.1.2");
    }
}

#[test]
fn a_signal_ends_a_job_that_waits_for_an_archive() {
    let job = scored();
    add(&job, &(Way::CStore.section(free_port()) + "retry_seconds = 300\n"));
    let child = job.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("objects are left that pacs does not have"), "{log}");
}
