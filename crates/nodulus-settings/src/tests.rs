//! Files are read, and what is wrong with them is said.

use super::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[schemars(length(min = 1))]
    store: String,
    #[serde(default)]
    crop: Crop,
    #[serde(default)]
    #[schemars(length(min = 1))]
    cohorts: Vec<Cohort>,
    #[serde(default)]
    windows: BTreeMap<String, Window>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Crop {
    #[schemars(range(min = 16, max = 1024), extend("multipleOf" = 16))]
    size: usize,
    #[schemars(extend("exclusiveMinimum" = 0), range(max = 1))]
    level: f64,
    seed: u64,
    #[schemars(inner(range(min = 0, max = 1000)), extend("examples" = [[100.0, 140.0]]))]
    kvp: Option<[f64; 2]>,
    #[schemars(length(min = 1))]
    splits: Vec<Split>,
    #[schemars(inner(range(min = 1, max = 64)))]
    dilations: Vec<usize>,
}

impl Default for Crop {
    fn default() -> Self {
        let (splits, dilations) = (vec![Split::Test], vec![1, 5]);
        Self { size: 128, level: 0.5, seed: 0, kvp: None, splits, dilations }
    }
}

#[derive(Debug, Deserialize, serde::Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Split {
    Train,
    Test,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cohort {
    name: String,
    #[serde(default)]
    root: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Window {
    low_hu: f64,
    high_hu: f64,
}

impl serde::Serialize for Crop {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { size, level, seed, kvp, splits, dilations } = self;
        json!({"size": size, "level": level, "seed": seed, "kvp": kvp, "splits": splits, "dilations": dilations})
            .serialize(serializer)
    }
}

const FILE: &str = "store = \"s\"\n[windows.clinical]\nlow_hu = 0\nhigh_hu = 1\n\
    [[cohorts]]\nname = \"a\"\n[[cohorts]]\nname = \"b\"\n";

fn read(text: &str, sets: &[&str]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    fs_err::write(&path, text).unwrap();
    let sets: Vec<Set> = sets.iter().map(|set| Set::option(set)).collect();
    let read = SettingsFile::open(&path).and_then(|mut file| file.read(&sets));
    read.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn settings_beside_a_file_reach_sections_and_lists() {
    let sets = ["crop.size=64", "cohorts.1.root=/x", "windows.\"a b\"={low_hu=1,high_hu=2}"];
    let settings = read(FILE, &sets).unwrap();
    assert_eq!((settings.store.as_str(), settings.crop.size), ("s", 64));
    assert_eq!([&settings.cohorts[0].root, &settings.cohorts[1].root], ["", "/x"]);
    assert_eq!(settings.cohorts[1].name, "b");
    let window = &settings.windows["a b"];
    assert!(window.low_hu + window.high_hu > 2.9);
    assert_eq!((settings.crop.seed, &settings.crop.splits), (0, &vec![Split::Test]));
    assert!(settings.crop.level > 0.4 && settings.crop.kvp.is_none());
    assert_eq!(settings.crop.dilations, [1, 5]);
}

#[test]
fn each_message_names_the_key_what_was_found_and_a_valid_example() {
    for (set, expected) in [
        (
            "crop.size=100",
            "`crop.size` is 100, expected a multiple of 16 from 16 to 1024, as in `size = 128`",
        ),
        (
            "crop.size=99999999999999999999",
            "`crop.size` is \"99999999999999999999\", expected a multiple of",
        ),
        (
            "crop.seed=-1",
            "`crop.seed` is -1, expected a whole number from 0 to 9223372036854775807, as in `seed = 0`",
        ),
        (
            "crop.level=nan",
            "`crop.level` is nan, expected a number over 0 and up to 1, as in `level = 0.5`",
        ),
        (
            "crop.level=0",
            "`crop.level` is 0, expected a number over 0 and up to 1, as in `level = 0.5`",
        ),
        ("crop.level=inf", "`crop.level` is inf, expected"),
        (
            "crop.kvp=[1]",
            "`crop.kvp` is a list of 1, expected a list of 2 numbers from 0 to 1000, as in `kvp = [100.0, 140.0]`",
        ),
        ("crop.kvp=[1,2,3]", "`crop.kvp` is a list of 3, expected a list of 2 numbers"),
        (
            "crop.kvp=[\"a\",2]",
            "`crop.kvp.0` is \"a\", expected a number from 0 to 1000, as in `kvp = [100.0, 140.0]`",
        ),
        (
            "crop.splits=test",
            "`crop.splits` is \"test\", expected a list of \"train\" or \"test\" that is not empty, as in \
             `splits = [\"test\"]`",
        ),
        ("crop.splits=[]", "`crop.splits` is an empty list, expected a list of"),
        (
            "crop.splits=[\"tst\"]",
            "`crop.splits.0` is \"tst\", expected \"train\" or \"test\": did you mean `test`?",
        ),
        (
            "crop.dilations=3",
            "`crop.dilations` is 3, expected a list of whole numbers from 1 to 64, as in `dilations = [1, 5]`",
        ),
        ("crop.dilations=[1,0]", "`crop.dilations.1` is 0, expected a whole number from 1 to 64"),
        (
            "store=",
            "`store` is \"\", expected text in quotes that is not empty, as in `store = \"text\"`",
        ),
        ("crop=2024-01-01", "`crop` is the date 2024-01-01, expected a section, as in `[crop]`"),
        (
            "cohorts=[]",
            "`cohorts` is an empty list, expected a list of sections that is not empty, as in `[[cohorts]]`",
        ),
        ("corp.size=3", "unknown key `corp`: did you mean `crop`?"),
        ("crop.x=3", "unknown key `crop.x`; crop has `size`, `level`"),
        ("crop.size.x=3", "`crop.size` is a section, expected a multiple of 16"),
        ("store.x=3", "`store` is not a section, so it has no `x`"),
        ("windows.clinicl.low_hu=1", "there is no `windows.clinicl`: did you mean `clinical`?"),
        (
            "windows.other.low_hu=1",
            "`windows.other.high_hu` is missing, expected a number, as in `high_hu = 0.5`",
        ),
        (
            "cohorts.b.root=/x",
            "there is no entry `b` in the list `cohorts`, whose entries are numbered from 0 to 1; `b` is number 1: use \
             `cohorts.1.root`",
        ),
        (
            "cohorts.c.root=/x",
            "there is no entry `c` in the list `cohorts`, whose entries are numbered from 0 to 1, as in `cohorts.0.root`",
        ),
        (
            "cohorts.7.root=/x",
            "there is no entry `7` in the list `cohorts`, whose entries are numbered from 0 to 1",
        ),
        ("cohorts.0.rot=1", "unknown key `cohorts.0.rot`: did you mean `root`?"),
        ("nonsense", "expected key=value, as in `--set crop.size=128`"),
        ("=3", "expected key=value, as in `--set crop.size=128`"),
    ] {
        let error = read(FILE, &[set]).unwrap_err();
        let start = format!("`--set {set}`: {expected}");
        assert!(error.starts_with(&start), "\n{error}\n{start}");
    }
}

#[test]
fn what_is_wrong_in_the_file_is_shown_with_its_line() {
    for (line, expected) in [
        (
            "[crop]\nseed = 9_223_372_036_854_775_808",
            "p.toml:10:8: `crop.seed` is 9223372036854775808, expected",
        ),
        ("[crop]\nlevel = -inf", "p.toml:10:9: `crop.level` is -inf, expected"),
        ("[crop]\nsize = 0x11", "p.toml:10:8: `crop.size` is 0x11, expected"),
        ("[[cohorts]]\nroot = \"x\"", "p.toml:9:1: `cohorts.2.name` is missing, expected text"),
        (
            "[[cohorts]]\nname = 3",
            "p.toml:10:8: `cohorts.2.name` is 3, expected text in quotes, as in `name = \"text\"`",
        ),
        ("[crop", "p.toml:9:6: "),
    ] {
        let error = read(&format!("{FILE}{line}\n"), &[]).unwrap_err();
        assert!(error.starts_with(expected), "\n{error}\n{expected}");
        assert!(error.ends_with('^'), "{error}");
    }
    let missing = SettingsFile::open(std::path::Path::new("no/such.toml")).unwrap_err().to_string();
    assert_eq!(missing, "`no/such.toml` cannot be read: there is no such file; check the path");
}

#[test]
fn a_fault_is_found_where_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    fs_err::write(&path, FILE).unwrap();
    let mut file = SettingsFile::open(&path).unwrap();
    file.read::<Settings>(&[Set::option("windows.clinical.low_hu=3"), Set::option("crop.size=64")])
        .unwrap();
    let place = |keys: &[&str]| {
        let fault = keys
            .iter()
            .fold(Fault { keys: Vec::new(), message: "m".to_owned() }, |fault, key| fault.or(*key));
        file.locate(&fault).to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(place(&["windows.clinical"]), "`--set windows.clinical.low_hu=3`: m");
    assert!(place(&["crop.seed", "cohorts.1.name"]).starts_with("p.toml:8:8: m\n"));
    assert_eq!(place(&["crop.seed"]), "p.toml: m");
}

#[test]
fn every_example_is_valid() {
    let schema = schema_of::<Settings>();
    let crop = Schema::new(&schema).key("crop").unwrap().alternatives()[0];
    for key in crop.keys() {
        let text = example::of_key(crop, "crop", key, example::Language::Toml);
        read(FILE, &[&format!("crop.{}", text.trim_matches('`').replacen(" = ", "=", 1))]).unwrap();
    }
}

#[test]
fn json_is_checked_alike() {
    let schema: Json = schema_of::<Settings>();
    let check = |json: &Json| check_json(json, &schema, "config").map_err(|fault| fault.message);
    assert_eq!(check(&json!({"store": "s", "crop": {"size": 64, "kvp": null}})), Ok(()));
    for (json, expected) in [
        (
            json!({"store": "s", "crop": {"size": "x"}}),
            "`config.crop.size` is \"x\", expected a multiple of 16 from 16 to 1024, as in `\"size\": 128`",
        ),
        (
            json!({"store": "s", "crop": {"level": null}}),
            "`config.crop.level` is null, expected a number over 0",
        ),
        (
            json!({}),
            "`config.store` is missing, expected text in quotes that is not empty, as in `\"store\": \"text\"`",
        ),
    ] {
        let message = check(&json).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    }
}
