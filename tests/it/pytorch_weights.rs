//! Files of PyTorch's own format are answered with the line that converts them, and the line does.

use crate::{fixture, python};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The answer to a file that is named as weights: the error, and the line that is to be run.
fn answer(weights: &Path, setting: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = fixture::pipeline(folder.path());
    let set = format!("{setting}={:?}", weights.to_str().unwrap());
    let arguments = ["run", pipeline.to_str().unwrap(), "--dry-run", "--set", &set];
    let (error, status) = fixture::run_badly(&arguments);
    assert_eq!(status, Some(1), "{error}");
    let line = error.lines().find(|line| line.trim_start().starts_with("python -c "));
    let line = line.unwrap_or_else(|| panic!("no line in: {error}")).trim().to_owned();
    (error, line)
}

/// A folder whose name a shell would misread.
fn folder(of: &Path) -> PathBuf {
    let folder = of.join("it's $HOME");
    fs_err::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_answer_names_the_file_and_the_line() {
    let temporary = tempfile::tempdir().unwrap();
    for (name, start) in [("net.pth", &b"PK\x03\x04rest"[..]), ("net.pt", &b"\x80\x02rest"[..])] {
        let weights = folder(temporary.path()).join(name);
        fs_err::write(&weights, start).unwrap();
        let (error, line) = answer(&weights, "train.initial.checkpoint");
        assert!(error.contains(weights.to_str().unwrap()), "{error}");
        assert!(error.contains("is a file of PyTorch's own format (zip or pickle)"), "{error}");
        let quoted = |path: &Path| format!("'{}'", path.to_str().unwrap().replace('\'', r"'\''"));
        let files = [quoted(&weights), quoted(&weights.with_extension("safetensors"))].join(" ");
        assert!(line.ends_with(&files), "{line}");
    }
}

#[test]
fn the_line_converts_the_file() {
    let Some(python) = python::pytorch() else { return };
    let temporary = tempfile::tempdir().unwrap();
    let here = temporary.path();
    let weights = fixture::current(&fixture::finished().join("store"), "checkpoint");
    let weights = weights.join("model.safetensors");
    let file = folder(here).join("net.pth");
    let run = |code: &str, paths: &[&Path]| {
        let output = Command::new(&python).args(["-c", code]).args(paths).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let save = "import sys, torch, safetensors.torch as s\n\
                d = s.load_file(sys.argv[1]) | {'bn.num_batches_tracked': torch.tensor(3)}\n\
                torch.save({'state_dict': d, 'epoch': 3}, sys.argv[2])";
    run(save, &[&weights, &file]);
    let (_, line) = answer(&file, "train.initial.checkpoint");
    // `python` of the line is the one with PyTorch.
    let named = here.join("bin/python");
    fs_err::create_dir_all(here.join("bin")).unwrap();
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display());
    fs_err::write(&named, script).unwrap();
    let path = format!("{}:{}", here.join("bin").display(), std::env::var("PATH").unwrap());
    assert!(Command::new("chmod").arg("+x").arg(&named).status().unwrap().success());
    let output = Command::new("sh").args(["-c", &line]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let same = "import sys, torch, safetensors.torch as s\n\
                a, b = (s.load_file(path) for path in sys.argv[1:])\n\
                assert b.pop('bn.num_batches_tracked') == 3 and a.keys() == b.keys()\n\
                assert all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)";
    let converted = file.with_extension("safetensors");
    run(same, &[&weights, &converted]);
    // nodulus starts from the new file.
    let pipeline = fixture::pipeline(here);
    let set = format!("train.initial.checkpoint={:?}", converted.to_str().unwrap());
    fixture::run_well(&["run", pipeline.to_str().unwrap(), "--dry-run", "--set", &set]);
}
