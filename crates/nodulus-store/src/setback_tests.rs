//! Shards that meet a fault of the machine or of the program.

use crate::fixture::Slice;
use crate::job_tests::{commit, failed_case, row_of, rows, spec, store};
use crate::{Error, FailedCase, FaultClass, Row as _};
use fs_err as fs;

fn machine_failure() -> FailedCase {
    let error = std::io::Error::from(std::io::ErrorKind::StaleNetworkFileHandle);
    FailedCase::new("balance", "c", &error, None)
}

#[test]
fn a_shard_that_meets_a_passing_fault_is_made_again_and_no_result_until_then() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b"]));
    let mut given = Vec::new();
    for writer in job.work().unwrap() {
        let writer = writer.unwrap();
        let number = writer.number();
        given.push(number);
        let is_first = given.iter().filter(|other| **other == number).count() == 1;
        let failures = if number == 0 && is_first { vec![machine_failure()] } else { Vec::new() };
        commit(writer, row_of(&job, number), failures);
        assert_eq!(job.set_back().len(), usize::from(is_first));
    }
    assert_eq!(given, [0, 1, 0]);
    let version = &job.finish().unwrap()[0];
    assert_eq!(rows(version), [97, 98]);
    assert_eq!(version.manifest.n_failures(), 0);
    // As if nothing had happened.
    let names = fs::read_dir(store.root().join(Slice::TABLE.name).join("shards")).unwrap();
    assert_eq!(names.count(), 2);
}

#[test]
fn a_shard_with_a_lasting_fault_or_a_bug_is_left_undone_and_others_are_made() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a", "b", "c"]));
    let panicked = nodulus_faults::Panicked::of(&"index out of bounds");
    let mut n_attempts = 0;
    for writer in job.work().unwrap() {
        let writer = writer.unwrap();
        match writer.number() {
            0 => {
                n_attempts += 1;
                commit(writer, 0, vec![FailedCase::new("balance", "c", &panicked, None)]);
            }
            1 => commit(writer, 1, vec![failed_case(Some(9))]),
            _ => writer.leave(vec![machine_failure()]).unwrap(),
        }
    }
    assert_eq!(n_attempts, 3);
    let left: Vec<(usize, FaultClass)> =
        job.set_back().iter().map(|setback| (setback.n_attempts, setback.cases[0].class)).collect();
    assert_eq!(left, [(3, FaultClass::Bug), (1, FaultClass::Machine)]);
    assert_eq!(job.standing().unwrap().pending, [0, 2]);
    assert!(matches!(job.finish().unwrap_err(), Error::ShardMissing { .. }));
}

#[test]
fn a_full_disk_ends_the_work() {
    let (_folder, store) = store();
    let job = store.job(spec(&["a"]));
    let writer = job.work().unwrap().next().unwrap().unwrap();
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let part = writer.part::<Slice>().unwrap().finish().unwrap();
    let failed = FailedCase::new("balance", "c", &full, None);
    let error = writer.commit(vec![part], vec![failed]).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert_eq!(job.standing().unwrap().pending, [0]);
    assert_eq!(
        fs::read_dir(store.root().join(Slice::TABLE.name).join("shards")).unwrap().count(),
        0
    );
}
