//! A fuzz target for each parser: reads any bytes, and ends with a value or an error, never with a panic.
//!
//! `fuzz_targets/` gives them to libFuzzer; `tests/it/fuzz_seeds.rs` runs them over the seeds and over what was found. Errors are
//! written out with their causes, as the program does.

use dicom_codecs::{Codec, PixelLayout, decode};
use nodulus::compare::nodule_table;
use nodulus::nightly::input::candidates::CandidateIndex;
use nodulus::nightly::settings::ScoreSettings;
use nodulus::pipeline::experiment::Experiment;
use nodulus::tables::Scan;
use nodulus_formats::dicom::{self, Tolerances, UnreadableSeries};
use nodulus_formats::image_file::{self, ImageRules};
use nodulus_formats::volume::SliceRanges;
use nodulus_formats::{archive, cohort, data_manifest, lidc_xml, luna_csv, mask_file};
use nodulus_formats::{metaimage as mhd, nifti as nii, nrrd as nrrd_file, scan_geometry as scans};
use nodulus_nets::{Device, Predictor, WEIGHTS_FILE};
use nodulus_store::{Row, Store};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Reads bytes; panics where a parser has a fault.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 17] = [
    ("archive", archive),
    ("candidates", candidates),
    ("data_manifest", data_manifest),
    ("dicom_marks", dicom_marks),
    ("dicom_points", dicom_points),
    ("dicom_slices", dicom_slices),
    ("lidc_xml", lidc_xml),
    ("luna_csv", luna_csv),
    ("metaimage", metaimage),
    ("nifti", nifti),
    ("nrrd", nrrd),
    ("parquet", parquet),
    ("pixels", pixels),
    ("scan_geometry", scan_geometry),
    ("settings", settings),
    ("store_records", store_records),
    ("weights", weights),
];

/// A file of these bytes in a folder of its own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        Self { _folder: folder, path }
    }
}

/// What was read; an error is written out with its causes.
fn read<T, E: Error>(result: Result<T, E>) -> Option<T> {
    let error = match result {
        Ok(found) => return Some(found),
        Err(error) => error,
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        write!(text, ": {next}").unwrap();
        cause = next.source();
    }
    assert!(!text.is_empty());
    None
}

/// The name of an archive or packed file by its first bytes.
fn packed_name(bytes: &[u8], names: [&'static str; 5]) -> &'static str {
    let [plain, gzip, xz, zstandard, zip] = names;
    match bytes {
        [0x1F, 0x8B, ..] => gzip,
        [0xFD, b'7', b'z', ..] => xz,
        [0x28, 0xB5, 0x2F, 0xFD, ..] => zstandard,
        [b'P', b'K', ..] => zip,
        _ => plain,
    }
}

/// A slice or a file of several frames, alone in its series: its header, its outline and its pixels.
pub fn dicom_slices(bytes: &[u8]) {
    let file = File::new("a.dcm", bytes);
    let files = std::slice::from_ref(&file.path);
    dicom::list_series(files, &[]);
    read(dicom::announced_instances(&file.path));
    read(dicom::undecoded_attributes(&file.path));
    dicom::estimate_bytes(files);
    let tolerances = Tolerances::default();
    if let Err(error) = dicom::read_facts(files, &tolerances) {
        read(Err::<(), _>(UnreadableSeries::new(error, files, |error| error)));
    }
    if let Some(series) = read(dicom::read_series(files, &tolerances)) {
        assert_eq!(series.volume.voxels().len(), series.volume.geometry().n_voxels());
        let uids = &series.sop_instance_uids;
        read(dicom::SourceSeries::read(files, uids, series.volume.geometry()));
    }
}

/// DICOM SEG and RTSTRUCT as masks.
pub fn dicom_marks(bytes: &[u8]) {
    let file = File::new("a.dcm", bytes);
    read(dicom::read_annotation_object(&file.path, 0.5));
    read(mask_file::read_header(&file.path, &mask_file::MaskRules::default()));
    dicom::object_bytes(&file.path);
}

/// The points of DICOM structured reports and structure sets.
pub fn dicom_points(bytes: &[u8]) {
    let file = File::new("a.dcm", bytes);
    read(dicom::may_hold_points(&file.path));
    read(dicom::read_points(&file.path));
}

/// A codestream of one frame: the first four bytes choose the codec and the layout.
pub fn pixels(bytes: &[u8]) {
    let [codec, columns, rows, kind, codestream @ ..] = bytes else { return };
    let codecs = [
        Codec::Uncompressed,
        Codec::Rle,
        Codec::JpegDct,
        Codec::JpegLossless,
        Codec::JpegLs,
        Codec::Jpeg2000,
        Codec::HtJpeg2000,
    ];
    let bits_allocated = if kind & 1 == 0 { 8 } else { 16 };
    let layout = PixelLayout {
        columns: usize::from(*columns),
        rows: usize::from(*rows),
        bits_allocated,
        high_bit: u32::from(kind >> 2) % bits_allocated,
        signed: kind & 2 != 0,
    };
    let mut values = vec![0; layout.columns * layout.rows];
    let codec = codecs[usize::from(*codec) % codecs.len()];
    read(decode(codec, codestream, &layout, &mut values));
}

/// An image file in every way in which it is read.
fn image(name: &str, bytes: &[u8]) {
    let file = File::new(name, bytes);
    let path = file.path.as_path();
    let folder = path.parent().unwrap();
    assert!(image_file::files(path).iter().all(|file| file.starts_with(folder)));
    image_file::estimate_bytes(path);
    let lenient =
        ImageRules { round_hu: true, nan_hu: Some(-1024), clamp_hu: true, unplaced: true };
    for rules in [ImageRules::default(), lenient] {
        if let Some((volume, _)) = read(image_file::read_with_repairs(path, &rules)) {
            assert_eq!(volume.voxels().len(), volume.geometry().n_voxels());
        }
    }
    read(image_file::read_slices(path, &SliceRanges::default(), &lenient));
    let rules = mask_file::MaskRules { unplaced: true, ..mask_file::MaskRules::default() };
    read(mask_file::read_header(path, &rules));
    read(mask_file::read(path, &rules));
}

/// NIfTI, plain or in gzip.
pub fn nifti(bytes: &[u8]) {
    image(packed_name(bytes, ["a.nii", "a.nii.gz", "a.nii", "a.nii", "a.nii"]), bytes);
    let file = File::new("a.hdr", bytes);
    read(nii::read(&file.path));
}

/// MetaImage with its voxels in it, and without.
pub fn metaimage(bytes: &[u8]) {
    image("a.mha", bytes);
    let file = File::new("a.mhd", bytes);
    let folder = file.path.parent().unwrap();
    assert!(mhd::data_files(&file.path).iter().all(|data| data.starts_with(folder)));
    read(mhd::read(&file.path));
}

/// NRRD with its voxels in it, and without.
pub fn nrrd(bytes: &[u8]) {
    image("a.seg.nrrd", bytes);
    let file = File::new("a.nhdr", bytes);
    nrrd_file::data_file(&file.path);
    read(nrrd_file::estimate_bytes(&file.path));
}

/// LIDC's XML; what is read is written and read again as the same.
pub fn lidc_xml(bytes: &[u8]) {
    let file = File::new("a.xml", bytes);
    cohort::series_of_reads(&file.path);
    if let Some(annotations) = read(lidc_xml::read(&file.path)) {
        lidc_xml::write(&file.path, &annotations).unwrap();
        assert_eq!(lidc_xml::read(&file.path).unwrap(), annotations);
    }
}

/// LUNA16's CSV files, all from the same bytes.
pub fn luna_csv(bytes: &[u8]) {
    let file = File::new("a.csv", bytes);
    let path = file.path.as_path();
    read(luna_csv::read_annotations(path));
    read(luna_csv::read_candidates(path));
    read(luna_csv::read_detections(path));
    read(luna_csv::read_findings(path));
    read(luna_csv::read_positions(path));
    read(luna_csv::read_series_uids(path));
    read(luna_csv::read_ended_series_uids(path));
    read(nodule_table::read(path));
}

/// Candidates of a nightly job, in CSV and Parquet.
pub fn candidates(bytes: &[u8]) {
    let name = if bytes.starts_with(b"PAR1") { "a.parquet" } else { "a.csv" };
    let file = File::new(name, bytes);
    let now = SystemTime::now();
    if let Some(index) = read(CandidateIndex::read(std::slice::from_ref(&file.path), now, None)) {
        index.of(["a"]);
    }
}

/// Tables of scan geometry, in CSV, packed CSV and Parquet.
pub fn scan_geometry(bytes: &[u8]) {
    let plain = if bytes.starts_with(b"PAR1") { "a.parquet" } else { "a.csv" };
    let names = [plain, "a.csv.gz", "a.csv.xz", plain, plain];
    let file = File::new(packed_name(bytes, names), bytes);
    read(scans::read(&file.path));
}

/// Tables in Parquet that other programs may have written.
pub fn parquet(bytes: &[u8]) {
    let file = File::new("a.parquet", bytes);
    read(nodule_table::read(&file.path));
    read(scans::read(&file.path));
}

/// Archives: zip, and tar, plain or packed. Every file is in the archive's own folder.
pub fn archive(bytes: &[u8]) {
    let names = ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.zst", "a.zip"];
    let file = File::new(packed_name(bytes, names), bytes);
    if let Some(unpacked) = read(archive::unpack(&file.path)) {
        let folder = unpacked.folder().to_owned();
        assert!(unpacked.files.iter().all(|file| file.starts_with(&folder)));
        drop(unpacked);
        assert!(!folder.exists());
    }
}

/// A manifest of data, and patterns of paths.
pub fn data_manifest(bytes: &[u8]) {
    let file = File::new("a.toml", bytes);
    read(data_manifest::read(&file.path));
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(cohort::PathPattern::parse(text));
        dicom::Date::from_dicom(text);
        dicom::Date::from_iso(text);
    }
}

/// The files of settings: a pipeline, a nightly job, an experiment; TOML or JSON.
pub fn settings(bytes: &[u8]) {
    for name in ["a.toml", "a.json"] {
        let file = File::new(name, bytes);
        read(nodulus::pipeline::Config::read(&file.path, &[], None));
        read(ScoreSettings::read(&file.path, &[], None));
        read(Experiment::read(&file.path));
    }
}

/// The records of a store: its own, of a version, of a shard, and the name of the current version.
pub fn store_records(bytes: &[u8]) {
    let key = "0123456789abcdef";
    let table = Scan::TABLE.name;
    let shard = format!("{table}/shards/{key}/record.json");
    for name in ["store.json", "versions", "CURRENT", shard.as_str()] {
        let name = match name {
            "versions" => format!("{table}/versions/{key}.json"),
            "CURRENT" => format!("{table}/CURRENT"),
            other => other.to_owned(),
        };
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        };
        Store::create(folder.path()).unwrap();
        write(&format!("{table}/CURRENT"), key.as_bytes());
        write(&name, bytes);
        read_store(folder.path());
    }
}

fn read_store(folder: &Path) {
    let Some(store) = read(Store::open(folder)) else { return };
    read(store.versions(Scan::TABLE));
    let Some(Some(version)) = read(store.current(Scan::TABLE)) else { return };
    read(version.check_files());
    read(version.failures());
    version.manifest.newer_inputs();
    for shard in 0..version.manifest.n_shards().min(4) {
        read(version.shard_record(shard));
    }
    for batch in version.rows::<Scan>().take(4) {
        read(batch);
    }
}

/// Weights: the first two bytes are the length of the description, the others its JSON and then the arrays.
pub fn weights(bytes: &[u8]) {
    let [low, high, rest @ ..] = bytes else { return };
    let n = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (description, arrays) = rest.split_at(n);
    let file = File::new(WEIGHTS_FILE, arrays);
    fs_err::write(file.path.with_extension("json"), description).unwrap();
    read(nodulus_nets::contract(&file.path));
    read(Predictor::load(&file.path, &Device::Cpu));
}
