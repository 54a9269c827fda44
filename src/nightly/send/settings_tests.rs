use super::*;
use crate::nightly::settings::ScoreSettings;

fn outputs() -> BTreeSet<OutputKind> {
    BTreeSet::from([OutputKind::Seg, OutputKind::Json])
}

/// What a program with the sender says.
fn check(text: &str) -> Result<(), String> {
    let settings: DestinationSettings = toml::from_str(text).unwrap();
    settings.check_keys("score.deliver.pacs", &outputs()).map_err(|fault| fault.message)
}

#[test]
fn settings_that_contradict_themselves_are_refused() {
    for good in [
        "address = \"pacs:104\"",
        "address = \"[::1]:104\"\nuser = \"u\"\npassword_file = \"p\"\nsince = \"2026-01-31\"",
        "url = \"http://localhost:8042/dicom-web/\"\ntoken_file = \"t\"",
        "url = \"https://a.example/dicom-web\"\ncertificates = \"c\"\noutputs = [\"seg\"]",
    ] {
        assert_eq!(check(good), Ok(()));
    }
    for (text, expected) in [
        ("", "`score.deliver.pacs` expects one of `address`, for C-STORE, and `url`"),
        ("address = \"a:1\"\nurl = \"http://b\"", "expects one of `address`"),
        (
            "address = \"pacs\"",
            "`score.deliver.pacs.address` is `pacs`, expected a host and a port",
        ),
        ("address = \":104\"", "expected a host and a port"),
        ("address = \"pacs:66000\"", "expected a host and a port"),
        ("address = \"me@pacs:104\"", "expected a host and a port"),
        ("address = \"a:1\"\ncalled_ae = \"12345678901234567\"", "expected an AE title of 1 to 16"),
        ("address = \"a:1\"\ncalling_ae = \"A\\\\B\"", "expected an AE title"),
        ("address = \"a:1\"\ncertificates = \"c\"", "C-STORE is sent without TLS"),
        ("url = \"ftp://b\"", "expected the address of a DICOMweb service"),
        ("url = \"http:///x\"", "expected the address of a DICOMweb service"),
        ("url = \"http://b/x?y\"", "expected the address of a DICOMweb service"),
        ("url = \"https://b\"", "has `https`, for which `score.deliver.pacs.certificates` names"),
        ("address = \"a:1\"\nuser = \"u\"", "`score.deliver.pacs.password_file` is missing"),
        ("address = \"a:1\"\npassword_file = \"p\"", "`score.deliver.pacs.user` is missing"),
        ("address = \"a:1\"\nuser = \"a:b\"\npassword_file = \"p\"", "holds a colon"),
        (
            "address = \"a:1\"\nuser = \"u\"\npassword_file = \"p\"\ntoken_file = \"t\"",
            "give one or the other",
        ),
        ("address = \"a:1\"\nsince = \"31.1.2026\"", "is `31.1.2026`, expected a day"),
        (
            "address = \"a:1\"\noutputs = [\"json\"]",
            "names \"json\", expected kinds of DICOM objects",
        ),
        ("address = \"a:1\"\noutputs = [\"rtstruct\"]", "would be sent nothing"),
    ] {
        let message = check(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
    let message = check("url = \"https://me:hunter2@b\"").unwrap_err();
    assert!(message.contains("holds a user or a password") && !message.contains("hunter2"));
    for name in ["", "my pacs", "a.b", "\u{e4}"] {
        let message = check_name(name, "s").unwrap_err().message;
        assert!(message.contains(&format!("is `{name}`, expected 1 to 64 letters")), "{message}");
    }
    assert_eq!(check_name("PACS-1_b", "s"), Ok(()));
}

#[test]
fn a_program_without_the_sender_says_how_to_build_one_with_it() {
    let settings: DestinationSettings = toml::from_str("address = \"a:1\"").unwrap();
    let checked = settings.check("pacs", &outputs());
    assert_eq!(checked.is_ok(), CAN_SEND);
    match checked {
        Ok(()) => {}
        Err(fault) => {
            assert!(
                !CAN_SEND && fault.message.contains("`cargo build --release --features deliver`")
            );
            assert_eq!(fault.keys, ["score.deliver.pacs"]);
        }
    }
}

#[test]
fn paths_are_relative_to_the_file_and_values_are_checked_by_their_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let read = |deliver: &str| {
        let text = format!(
            "[score]\ninput = \"in\"\nstore = \"s\"\nmodel = \"m\"\noutputs = [\"seg\"]\n{deliver}"
        );
        fs_err::write(&path, text).unwrap();
        ScoreSettings::read(&path, &[], None).map_err(|error| error.to_string())
    };
    for (deliver, expected) in [
        (
            "[score.deliver.a]\nadress = \"a:1\"",
            "unknown key `score.deliver.a.adress`: did you mean `address`?",
        ),
        (
            "[score.deliver.a]\naddress = \"a:1\"\nattempts = 0",
            "`score.deliver.a.attempts` is 0, expected a whole number from 1 to 20",
        ),
        (
            "[score.deliver]\naddress = \"a:1\"",
            "`score.deliver.address` is \"a:1\", expected a section",
        ),
    ] {
        let error = read(deliver).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let good = read("[score.deliver.a]\naddress = \"a:1\"\ntoken_file = \"t\"\n");
    assert_eq!(good.is_ok(), CAN_SEND);
    match good {
        Ok(settings) => {
            let file = settings.deliver["a"].token_file.clone();
            assert_eq!(file, Some(folder.path().join("t")));
        }
        Err(error) => assert!(!CAN_SEND && error.contains("--features deliver"), "{error}"),
    }
}
