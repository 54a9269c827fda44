//! Files of PyTorch's own format are answered with the line that converts them, and the line does.

use crate::{contract, fixture, python};
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
    let names: [(&str, &[u8], &str); 3] = [
        ("net.pth", b"PK\x03\x04rest", "net.safetensors"),
        ("net.pt", b"\x80\x02rest", "net.safetensors"),
        // One that is named as if it were converted.
        ("named.safetensors", b"PK\x03\x04rest", "named.converted.safetensors"),
    ];
    for (name, start, converted) in names {
        let weights = folder(temporary.path()).join(name);
        fs_err::write(&weights, start).unwrap();
        for setting in ["train.initial.checkpoint", "infer.checkpoint"] {
            let (error, line) = answer(&weights, setting);
            assert!(error.contains(weights.to_str().unwrap()), "{error}");
            assert!(error.contains("is a file of PyTorch's own format (zip or pickle)"), "{error}");
            let quoted =
                |path: &Path| format!("'{}'", path.to_str().unwrap().replace('\'', r"'\''"));
            let files = [quoted(&weights), quoted(&weights.with_file_name(converted))].join(" ");
            assert!(line.ends_with(&files), "{line}");
        }
        // Where nothing is trained, the window is not asked for first.
        let root = fixture::finished().join("store/phantom/clinical");
        let path = contract::pipeline(temporary.path(), &root, &weights);
        let (error, _) = fixture::run_badly(&["run", path.to_str().unwrap()]);
        assert!(error.contains("is a file of PyTorch's own format"), "{error}");
        let error = scored(temporary.path(), &weights);
        assert!(error.contains("is a file of PyTorch's own format"), "{error}");
    }
}

/// What `nodulus score` says of weights that it cannot use.
fn scored(folder: &Path, weights: &Path) -> String {
    let file = folder.join("score.toml");
    fs_err::write(folder.join("candidates.csv"), "seriesuid,coordX,coordY,coordZ\n").unwrap();
    let text = format!(
        "[score]\ninput = \"{}\"\nstore = \"scored\"\nmodel = \"{}\"\ncandidates = \"candidates.csv\"\n\
         [score.region]\nwindow = {{ low_hu = 0, high_hu = 1000 }}\n",
        fixture::finished().join("store/phantom/clinical").display(),
        weights.display()
    );
    fs_err::write(&file, text).unwrap();
    let (error, status) = fixture::run_badly(&["score", file.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{error}");
    error
}

#[test]
fn weights_without_a_description_are_answered_with_the_line_that_writes_it() {
    let temporary = tempfile::tempdir().unwrap();
    let here = temporary.path();
    let weights = folder(here).join("net.safetensors");
    let own = fixture::current(&fixture::finished().join("store"), "checkpoint");
    fs_err::copy(own.join("model.safetensors"), &weights).unwrap();
    let root = fixture::finished().join("store/phantom/clinical");
    let path = contract::pipeline(here, &root, &weights);
    let path = path.to_str().unwrap();
    let (error, status) = fixture::run_badly(&["run", path]);
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("net.json: is missing; it says which network"), "{error}");
    assert!(scored(here, &weights).contains("net.json: is missing;"));
    let line = error.lines().find(|line| line.trim_start().starts_with("printf ")).unwrap();
    assert!(
        line.contains(r#""architecture":"proposed","preset":"tiny","image_size":128"#),
        "{line}"
    );
    // The size of the images is the user's to say.
    let line = line.replace("\"image_size\":128", "\"image_size\":64");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    let size = ["--set", "crop.size=64"];
    let (error, _) = fixture::run_badly(&[&["run", path], &size[..]].concat());
    assert!(error.contains("do not say with which window they were trained"), "{error}");
    let window = ["--set", "crop.window={low_hu=0.0,high_hu=1000.0}"];
    let text = fixture::run_well(&[&["run", path], &size[..], &window].concat());
    assert!(text.contains("that nobody checked: the weights do not say"), "{text}");
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
