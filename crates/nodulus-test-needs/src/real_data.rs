//! Real scans and annotations, from where `NODULUS_REAL` or `NODULUS_DATA` say they are.

use crate::{Need, skip};
use fs_err as fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The folder of the archives: `NODULUS_DATA`, or `shared/data` beside the repository.
pub fn data_folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("NODULUS_DATA").map_or(beside, PathBuf::from)
}

/// The folder of a patient of LIDC-IDRI, for example `LIDC-IDRI-0001`: in `NODULUS_REAL`, where someone has unpacked it, or
/// below `to`, unpacked from its archive. Without either the check is skipped.
///
/// `members` is a pattern of the files to unpack; none stands for all.
pub fn real_scan(patient: &str, members: Option<&str>, to: &Path) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("NODULUS_REAL") else {
        return unpacked(&patient.to_lowercase(), patient, members, &to.join(patient));
    };
    let folder = Path::new(&root).join(patient);
    if !folder.is_dir() {
        let why = format!(
            "`{patient}` is not in `NODULUS_REAL`: unpack its scan there, or set `NODULUS_DATA` instead"
        );
        skip(Need::RealData, &why);
        return None;
    }
    Some(folder)
}

/// The annotations of all of LIDC-IDRI: the folder `to`, unpacked from their archive. Without it the check is skipped.
pub fn real_annotations(to: &Path) -> Option<PathBuf> {
    unpacked("lidc-xml", "", None, to)
}

/// What is below `top` in the archive `name.tar.zst` of [`data_folder`], as the folder `to`, unless an earlier test has
/// unpacked it.
fn unpacked(name: &str, top: &str, members: Option<&str>, to: &Path) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if to.exists() {
        return Some(to.to_owned());
    }
    let archive = data_folder().join(format!("{name}.tar.zst"));
    if !archive.is_file() {
        let why =
            format!("`{name}.tar.zst` is missing: set `NODULUS_DATA` to the folder that holds it");
        skip(Need::RealData, &why);
        return None;
    }
    // Renamed once it is whole, so that a test that was killed leaves no part of it for the next.
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    let mut tar = Command::new("tar");
    tar.arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(&partial);
    if let Some(members) = members {
        tar.args(["--wildcards", members]);
    }
    let is_unpacked = fs::create_dir_all(&partial).is_ok()
        && tar.status().is_ok_and(|status| status.success())
        && fs::rename(partial.join(top), to).is_ok();
    // Empty by now, or a part of what was asked for.
    let _ = fs::remove_dir_all(&partial);
    if !is_unpacked {
        skip(Need::RealData, "`tar --zstd` cannot unpack real scans: install tar and zstd");
        return None;
    }
    Some(to.to_owned())
}
