//! Inputs that the fuzz targets begin with: small files of every format, made by the phantom, by the writers of nodulus and here.

use dicom_dictionary_std::tags;
use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::Array3;
use nodulus::phantom;
use nodulus_formats::dicom::{self, Creation, Date, SourceSeries, Tolerances};
use nodulus_formats::volume::{Geometry, Mask, PlacedMask, Volume};
use nodulus_formats::{data_manifest, metaimage, nifti};
use nodulus_nets::{Architecture, Config, Device, Preset, Trainer, WEIGHTS_FILE};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

/// An input of a target.
pub(crate) struct Seed {
    /// The target.
    pub(crate) target: &'static str,
    /// Its name among the seeds of the target.
    pub(crate) name: String,
    /// The file.
    pub(crate) bytes: Vec<u8>,
}

/// The codecs in the order of the target `pixels`, by the names of the files in `tests/golden/compressed`.
const CODECS: [&str; 7] =
    ["encapsulated", "rle", "jpeg_baseline", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "htj2k"];

/// An NRRD file of labels in two layers, and one of an image.
const NRRD: [&str; 2] = [
    "NRRD0004\ntype: short\ndimension: 4\nspace: RAS\nsizes: 2 4 3 2\nspace directions: none (1,0,0) (0,1,0) (0,0,2)\n\
     encoding: raw\nendian: little\nspace origin: (1,2,3)\nSegment0_ID:=a\nSegment0_LabelValue:=1\nSegment0_Layer:=1\n\n",
    "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 4 3 2\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n\
     encoding: raw\nendian: little\nspace origin: (1,2,3)\n\n",
];

const CREATION: Creation<'_> = Creation {
    date: "20261124",
    time: "125227",
    author: dicom::Author::Network,
    algorithm: "unet-0123456789ab",
    version: "0.1.0",
    number: 1,
    replaces: None,
};

struct Seeds {
    repository: PathBuf,
    folder: tempfile::TempDir,
    made: Vec<Seed>,
}

/// The seeds of all targets.
pub(crate) fn seeds(repository: &Path) -> Vec<Seed> {
    let mut made = Seeds {
        repository: repository.to_owned(),
        folder: tempfile::tempdir().unwrap(),
        made: Vec::new(),
    };
    made.phantom();
    made.dicom();
    made.images();
    made.archives();
    made.texts();
    made.store();
    made.weights();
    made.made
}

impl Seeds {
    fn add(&mut self, target: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.made.push(Seed { target, name: name.into(), bytes: bytes.into() });
    }

    /// A file for a target.
    fn add_file(&mut self, target: &'static str, path: &Path) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        self.add(target, name, fs_err::read(path).unwrap());
    }

    fn files(&self, below: &str) -> Vec<PathBuf> {
        nodulus_formats::cohort::files_below(&self.folder.path().join(below)).unwrap()
    }

    /// The phantom's files: slices, XML, LUNA16's tables, a mask.
    fn phantom(&mut self) {
        let out = self.folder.path().join("phantom");
        let config = phantom::Config {
            patients: 1,
            clinical_patients: 1,
            size: 64,
            slices: 16,
            nodules_max: 2,
            ..phantom::Config::default()
        };
        phantom::write(&out, &config, &|_, _| ()).unwrap();
        let mut n_slices = 0;
        for path in self.files("phantom") {
            let name = path.strip_prefix(&out).unwrap().to_string_lossy().into_owned();
            let end = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            match end.as_str() {
                "dcm" if n_slices < 2 => {
                    n_slices += 1;
                    self.add_file("dicom_slices", &path);
                }
                "xml" if name.starts_with("lidc-annotations") => self.add_file("lidc_xml", &path),
                "csv" if name.contains("geometry") => self.add_file("scan_geometry", &path),
                "csv" => {
                    let text = fs_err::read_to_string(&path).unwrap();
                    let lines: Vec<&str> = text.lines().take(40).collect();
                    let file = path.file_name().unwrap().to_string_lossy().into_owned();
                    self.add("luna_csv", file.clone(), lines.join("\n"));
                    self.add("candidates", file, lines.join("\n"));
                }
                "gz" => self.add_file("nifti", &path),
                "json" => self.add_file("settings", &path),
                _ => {}
            }
        }
    }

    /// Slices of every transfer syntax, and objects that refer to a series.
    fn dicom(&mut self) {
        let plan = phantom::FollowUp {
            seed: 3,
            size: 64,
            slices: 16,
            date: Date::from_iso("2025-11-20").unwrap(),
            days: 120,
            growth: 2.0,
            shift_mm: [7.3, -12.8, 15.5],
            view: [3.0, -2.0, 2.0],
        };
        phantom::write_follow_up(&self.folder.path().join("visits"), &plan).unwrap();
        let files: Vec<PathBuf> = self
            .files("visits")
            .into_iter()
            .filter(|file| file.extension().is_some_and(|e| e == "dcm"))
            .collect();
        let found = dicom::find_series(&files).unwrap();
        let files = &found[0].files;
        let series = dicom::read_series(files, &Tolerances::default()).unwrap();
        let geometry = series.volume.geometry();
        let source = SourceSeries::read(files, &series.sop_instance_uids, geometry).unwrap();
        let mask = PlacedMask {
            start: [3, 4, 5],
            mask: Mask::from_fn([4, 3, 2], |i, j, k| i + j + k < 6),
        };
        let segment = dicom::NewSegment {
            label: "Nodule 1".to_owned(),
            description: None,
            maker: dicom::SegmentMaker::Network,
            tracking_id: "nod_ä",
            mask: &mask,
        };
        let segmentation = dicom::segmentation(&source, &CREATION, &[segment]).unwrap().unwrap();
        self.add("dicom_marks", "segmentation.dcm", segmentation.bytes);
        let points_ij = vec![[1.0, 1.0], [4.5, 1.0], [4.0, 5.0], [1.0, 4.0]];
        let contours = (2..4).map(|k| dicom::NewContour { k, points_ij: points_ij.clone() });
        let roi =
            dicom::NewRoi { number: 1, name: "Nodule 1".to_owned(), contours: contours.collect() };
        let structures = dicom::structure_set(&source, &CREATION, &[roi]).unwrap().unwrap();
        self.add("dicom_marks", "structures.dcm", structures.bytes.clone());
        self.add("dicom_points", "structures.dcm", structures.bytes);
        let nodule = dicom::NewMeasurements {
            tracking_id: "nod",
            segment: Some(1),
            reading_session: None,
            position_mm: [1.0, 2.0, 3.0],
            volume_mm3: 523.6,
            equivalent_diameter_mm: Some(10.0),
            long_axis_mm: Some(11.0),
            short_axis_mm: Some(9.0),
            mean_hu: Some(-300.5),
            probability: Some(0.75),
            ratings: None,
        };
        let reference = Some(&segmentation.reference);
        let report = dicom::report(&source, &CREATION, reference, &[nodule]).unwrap();
        self.add("dicom_points", "report.dcm", report.bytes);

        let compressed = self.repository.join("tests/golden/compressed");
        for path in nodulus_formats::cohort::files_below(&compressed).unwrap() {
            if path.extension().is_none_or(|end| end != "dcm") {
                continue;
            }
            self.add_file("dicom_slices", &path);
            self.codestream(&path);
        }
    }

    /// The codestream of a slice, after the bytes that choose its codec and layout.
    fn codestream(&mut self, path: &Path) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The library does not inflate a data set.
        let Ok(object) = dicom_object::open_file(path) else { return };
        let pixels = object.element(tags::PIXEL_DATA).unwrap().value();
        let Some(fragments) = pixels.fragments() else { return };
        // Extended JPEG, and baseline with restarts, are of the codec of `jpeg_baseline`.
        let codec = CODECS.iter().rposition(|codec| name.starts_with(*codec)).unwrap_or(2);
        let number = |tag| object.element(tag).unwrap().to_int::<u8>().unwrap();
        let is_wide = u8::from(number(tags::BITS_ALLOCATED) == 16);
        let kind = is_wide | number(tags::PIXEL_REPRESENTATION) << 1 | number(tags::HIGH_BIT) << 2;
        let [columns, rows] = [tags::COLUMNS, tags::ROWS].map(number);
        let bytes = [&[codec as u8, columns, rows, kind][..], &fragments.concat()].concat();
        self.add("pixels", name, bytes);
    }

    /// Image files of 4 x 3 x 2 voxels.
    fn images(&mut self) {
        let geometry =
            Geometry::new([4, 3, 2], [0.7, 0.8, 2.5], [-10.0, 20.0, 30.0], Geometry::AXIAL)
                .unwrap();
        let voxels = Array3::from_shape_fn((2, 3, 4), |(k, j, i)| (k + j + i) as i16);
        let volume = Volume::new(geometry, voxels).unwrap();
        let path = |name: &str| self.folder.path().join(name);
        let [plain, packed] = [path("a.mha"), path("b.mha")];
        let images = [path("a.nii"), path("a.nii.gz")];
        let header = path("c.mhd");
        metaimage::write(&plain, &volume, false).unwrap();
        metaimage::write(&packed, &volume, true).unwrap();
        metaimage::write(&header, &volume, false).unwrap();
        for path in [plain, packed, header] {
            self.add_file("metaimage", &path);
        }
        for path in images {
            nifti::write(&path, &volume).unwrap();
            self.add_file("nifti", &path);
        }
        for (n, text) in NRRD.into_iter().enumerate() {
            self.add("nrrd", format!("{n}.nrrd"), [text.as_bytes(), &[1; 96]].concat());
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(&[1; 96]).unwrap();
            let text = text.replace("encoding: raw", "encoding: gzip");
            let bytes = [text.as_bytes(), &packed.finish().unwrap()].concat();
            self.add("nrrd", format!("{n}-gzip.nrrd"), bytes);
        }
    }

    /// Archives of two files, one of them in a folder.
    fn archives(&mut self) {
        let members = [("a.dcm", &[7; 700][..]), ("folder/b.xml", b"<a/>")];
        let mut tar = tar::Builder::new(Vec::new());
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar).unwrap();
        self.add("archive", "a.zip", zip.finish().unwrap().into_inner());
        self.add("archive", "a.tar.gz", gzip.finish().unwrap());
        self.add("archive", "a.tar.zst", zstd::encode_all(&tar[..], 1).unwrap());
        self.add("archive", "a.tar.xz", xz(&tar));
        self.add("archive", "a.tar", tar);
    }

    /// The files of settings in this repository, manifests, patterns, packed tables of geometry.
    fn texts(&mut self) {
        for folder in ["pipelines", "data-manifests"] {
            let target = if folder == "pipelines" { "settings" } else { "data_manifest" };
            for path in nodulus_formats::cohort::files_below(&self.repository.join(folder)).unwrap()
            {
                if path.extension().is_some_and(|end| end == "toml") {
                    self.add_file(target, &path);
                }
            }
        }
        let path = self.folder.path().join("manifest.toml");
        let manifest = data_manifest::of_folder(&self.folder.path().join("phantom")).unwrap();
        data_manifest::write(&path, &manifest).unwrap();
        self.add_file("data_manifest", &path);
        self.add("data_manifest", "pattern", "{patient}/scan-[0-9]*/{scan}.nii.gz");
        let is_geometry = |seed: &&Seed| seed.target == "scan_geometry";
        let table = self.made.iter().find(is_geometry).unwrap().bytes.clone();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&table).unwrap();
        self.add("scan_geometry", "a.csv.gz", gzip.finish().unwrap());
        self.add("scan_geometry", "a.csv.xz", xz(&table));
    }

    /// A store with one version of `scans` that has no rows, made by the store itself.
    fn store(&mut self) {
        use nodulus::tables::Scan;
        use nodulus_store::{JobSpec, Row, ShardSpec, Store};
        let root = self.folder.path().join("store");
        let store = Store::create(&root).unwrap();
        let config = serde_json::json!({ "margin": [1.5, null] });
        let shard = ShardSpec {
            config: std::sync::Arc::new(config.clone()),
            decisions: serde_json::Value::Null,
            inputs: Vec::new(),
            cases: Vec::new(),
        };
        let job = store.job(JobSpec {
            stage: "ingest",
            stage_version: 1,
            outputs: vec![Scan::TABLE.into()],
            config,
            inputs: Vec::new(),
            shards: vec![shard],
        });
        for shard in job.work().unwrap() {
            let shard = shard.unwrap();
            let part = shard.part::<Scan>().unwrap();
            shard.commit(vec![part.finish().unwrap()], Vec::new()).unwrap();
        }
        job.finish().unwrap();
        for path in self.files("store") {
            match path.extension().and_then(|end| end.to_str()) {
                Some("json") => self.add_file("store_records", &path),
                Some("parquet") => {
                    self.add_file("parquet", &path);
                    self.add_file("candidates", &path);
                }
                _ => {}
            }
        }
        self.add("store_records", "CURRENT", "0123456789abcdef\n");
    }

    /// The weights of a tiny network, after their description.
    fn weights(&mut self) {
        let config = Config { image_size: 16, ..Config::of(Architecture::UNet, Preset::Tiny) };
        let path = self.folder.path().join(WEIGHTS_FILE);
        let trainer = Trainer::new(&config, 1, &Device::Cpu).unwrap();
        trainer.save_checkpoint(&path, &serde_json::Value::Null).unwrap();
        let description = fs_err::read(path.with_extension("json")).unwrap();
        let length = u16::try_from(description.len()).unwrap().to_le_bytes();
        let weights = fs_err::read(path).unwrap();
        self.add("weights", "tiny", [&length[..], &description, &weights].concat());
    }
}

/// Bytes in an xz file of one block, uncompressed (LZMA2 chunks of type 1).
fn xz(bytes: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let mut packed = b"\xFD7zXZ\0\0\x01".to_vec();
    packed.extend(sum(b"\0\x01"));
    // One filter, LZMA2 with a dictionary of 4 KiB.
    let header = [2, 0, 0x21, 1, 0, 0, 0, 0];
    packed.extend([&header[..], &sum(&header)].concat());
    let mut block = Vec::new();
    for chunk in bytes.chunks(1 << 16) {
        block.push(1);
        block.extend(((chunk.len() - 1) as u16).to_be_bytes());
        block.extend(chunk);
    }
    block.push(0);
    let unpadded = 12 + block.len() + 4;
    block.resize(block.len().next_multiple_of(4), 0);
    packed.extend([&block[..], &sum(bytes)].concat());
    let mut index = vec![0, 1];
    for mut number in [unpadded, bytes.len()] {
        while number > 0x7F {
            index.push(number as u8 | 0x80);
            number >>= 7;
        }
        index.push(number as u8);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    packed.extend([&index[..], &sum(&index)].concat());
    let size = ((index.len() + 4) / 4 - 1) as u32;
    let footer = [&size.to_le_bytes()[..], &[0, 1]].concat();
    packed.extend([&sum(&footer)[..], &footer, b"YZ"].concat());
    packed
}
