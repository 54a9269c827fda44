//! An input of the nightly job with marked names in every field that its formats have, in whole and in broken forms.

use crate::nightly_job::{Job, series_of};
use dicom_core::value::{DataSetSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileDicomObject, InMemDicomObject, mem::InMemElement};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A name that nothing shows.
pub(crate) const NAME: &str = "QZMARK";
/// A patient's id, which results name unless they are de-identified.
pub(crate) const PATIENT: &str = "WXPIDMARK";
/// A text in the place of a UID, which the cache of the input has.
pub(crate) const UID: &str = "UIDMARKQ";

/// The folder of a patient: an odd back quote, as in a name.
const FOLDER: &str = "O`QZMARK^Mary^19560229";

type Object = FileDicomObject<InMemDicomObject>;

/// Texts of a patient, a study and a scanner.
const TEXTS: [(Tag, VR); 33] = [
    (tags::PATIENT_NAME, VR::PN),
    (tags::OTHER_PATIENT_NAMES, VR::PN),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::OPERATORS_NAME, VR::PN),
    (tags::PERFORMING_PHYSICIAN_NAME, VR::PN),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_COMMENTS, VR::LT),
    (tags::ADDITIONAL_PATIENT_HISTORY, VR::LT),
    (tags::PATIENT_ADDRESS, VR::LO),
    (tags::OCCUPATION, VR::SH),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::STUDY_ID, VR::SH),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::SERIES_DESCRIPTION, VR::LO),
    (tags::INSTITUTION_NAME, VR::LO),
    (tags::INSTITUTION_ADDRESS, VR::ST),
    (tags::STATION_NAME, VR::SH),
    (tags::STATION_AE_TITLE, VR::AE),
    (tags::MANUFACTURER, VR::LO),
    (tags::MANUFACTURER_MODEL_NAME, VR::LO),
    (tags::DEVICE_SERIAL_NUMBER, VR::LO),
    (tags::SOFTWARE_VERSIONS, VR::LO),
    (tags::CONVOLUTION_KERNEL, VR::SH),
    (tags::FILTER_TYPE, VR::SH),
    (tags::PROTOCOL_NAME, VR::LO),
    (tags::BODY_PART_EXAMINED, VR::CS),
    (tags::CONTRAST_BOLUS_AGENT, VR::LO),
    (tags::IMAGE_COMMENTS, VR::LT),
    (tags::DERIVATION_DESCRIPTION, VR::ST),
    (tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, VR::LO),
    (tags::POSITION_REFERENCE_INDICATOR, VR::LO),
    (tags::RETRIEVE_URL, VR::UR),
    (tags::STRAIN_DESCRIPTION, VR::UC),
];

/// Attributes that are numbers, codes, dates or UIDs by their definition, each with a text in its place.
const BROKEN: [(Tag, VR); 27] = [
    (tags::IMAGE_POSITION_PATIENT, VR::DS),
    (tags::IMAGE_ORIENTATION_PATIENT, VR::DS),
    (tags::PIXEL_SPACING, VR::DS),
    (tags::RESCALE_SLOPE, VR::DS),
    (tags::RESCALE_INTERCEPT, VR::DS),
    (tags::SLICE_THICKNESS, VR::DS),
    (tags::SPACING_BETWEEN_SLICES, VR::DS),
    (tags::KVP, VR::DS),
    (tags::INSTANCE_NUMBER, VR::IS),
    (tags::ACQUISITION_NUMBER, VR::IS),
    (tags::NUMBER_OF_FRAMES, VR::IS),
    (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS),
    (tags::MODALITY, VR::CS),
    (tags::PHOTOMETRIC_INTERPRETATION, VR::CS),
    (tags::RESCALE_TYPE, VR::LO),
    (tags::IMAGE_TYPE, VR::CS),
    (tags::SPECIFIC_CHARACTER_SET, VR::CS),
    (tags::LOSSY_IMAGE_COMPRESSION, VR::CS),
    (tags::STUDY_DATE, VR::DA),
    (tags::ACQUISITION_DATE, VR::DA),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    // Numbers by their bytes, with a text's.
    (tags::ROWS, VR::LO),
    (tags::BITS_ALLOCATED, VR::LO),
    (tags::SAMPLES_PER_PIXEL, VR::LO),
    (tags::PIXEL_REPRESENTATION, VR::LO),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_TIME, VR::TM),
];

/// UIDs, each with a text in its place.
const UIDS: [Tag; 5] = [
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::FRAME_OF_REFERENCE_UID,
];

/// The marked input of a job; its candidates are a folder.
pub(crate) struct Planted {
    pub(crate) job: Job,
    /// Slices of the series that the others are made from.
    slices: Vec<PathBuf>,
    /// Rows of candidates.
    rows: String,
    n_series: usize,
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
}

/// Puts marks into all texts of an object, its private and nested attributes included.
fn mark(object: &mut InMemDicomObject, patient: &str) {
    for (n, (tag, vr)) in TEXTS.into_iter().enumerate() {
        put(object, tag, vr, &format!("{NAME}{n}"));
    }
    put(object, tags::PATIENT_ID, VR::LO, patient);
    put(object, tags::PATIENT_BIRTH_DATE, VR::DA, "19560229");
    put(object, Tag(0x0009, 0x0010), VR::LO, &format!("{NAME} PRIVATE"));
    put(object, Tag(0x0009, 0x1001), VR::LO, &format!("{NAME} PRIVATE VALUE"));
    let mut item = InMemDicomObject::new_empty();
    put(&mut item, tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, &format!("{NAME} NESTED"));
    put(&mut item, tags::PATIENT_NAME, VR::PN, &format!("{NAME}^NESTED"));
    let sequence = |item| Value::from(DataSetSequence::from(vec![item]));
    let element: InMemElement =
        DataElement::new(tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, sequence(item));
    object.put(element);
}

impl Planted {
    pub(crate) fn new() -> Self {
        let job = Job::new();
        let text = fs_err::read_to_string(job.candidates()).unwrap();
        let series = job.series();
        // The first series names no patient but by the marks.
        for (n, folder) in series.iter().enumerate() {
            let named = folder.with_file_name(format!("{FOLDER}{n}"));
            fs_err::rename(folder, &named).unwrap();
            for file in files_in(&named) {
                change(&file, |object| mark(object, &format!("{PATIENT}{n}")));
            }
        }
        let slices = files_in(&job.series()[0]);
        Self { job, slices, rows: text, n_series: 0 }
    }

    /// A folder below the input.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.job.input().join(name);
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    /// A series of four slices in a folder, with candidates; `change` is given each slice with its number.
    fn series(
        &mut self,
        folder: &Path,
        mut changed: impl FnMut(usize, &mut Object),
    ) -> Vec<PathBuf> {
        self.n_series += 1;
        let uid = format!("2.25.77{}", self.n_series);
        // Within the four slices.
        writeln!(self.rows, "{uid},0,-150,-55,1").unwrap();
        let made = self.slices.iter().take(4).enumerate().map(|(n, slice)| {
            let to = folder.join(format!("{NAME}`{}.{n}.dcm", self.n_series));
            let mut object = dicom_object::open_file(slice).unwrap();
            put(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, &uid);
            changed(n, &mut object);
            object.write_to_file(&to).unwrap();
            to
        });
        made.collect()
    }

    /// DICOM series that are broken, each in its way.
    pub(crate) fn broken_series(&mut self) {
        for (n, (tag, vr)) in BROKEN.into_iter().enumerate() {
            let folder = self.folder(&format!("{NAME}{n}`broken"));
            self.series(&folder, |_, object| put(object, tag, vr, &format!("{NAME}{n}")));
        }
        for (n, tag) in UIDS.into_iter().enumerate() {
            let folder = self.folder(&format!("{NAME}{n}`uid"));
            self.series(&folder, |_, object| put(object, tag, VR::UI, &format!("{UID}{n}")));
            // A slice of another study or class than the others.
            let folder = self.folder(&format!("{NAME}{n}`uid of one"));
            self.series(&folder, |at, object| {
                if at == 2 && tag != tags::SERIES_INSTANCE_UID {
                    put(object, tag, VR::UI, &format!("{UID}{n}"));
                }
            });
        }
        let folder = self.folder("other`patients");
        self.series(&folder, |n, object| {
            put(object, tags::PATIENT_ID, VR::LO, &format!("{NAME} {n}"));
        });
        // Two images in one, which differ by what people type.
        for (tag, vr) in [(tags::IMAGE_COMMENTS, VR::LT), (tags::SERIES_DESCRIPTION, VR::LO)] {
            let folder = self.folder(&format!("{NAME}`{tag} twice"));
            let made = self.series(&folder, |_, _| {});
            for (n, file) in made.iter().enumerate() {
                let mut object = dicom_object::open_file(file).unwrap();
                put(&mut object, tag, vr, &format!("{NAME} two"));
                put(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &format!("2.25.9{n}"));
                object.write_to_file(folder.join(format!("{n}.dcm"))).unwrap();
            }
        }
        // Uneven, truncated, of another transfer syntax, no DICOM.
        let folder = self.folder(&format!("{FOLDER}uneven"));
        let made = self.series(&folder, |_, _| {});
        fs_err::remove_file(&made[1]).unwrap();
        for cut in [9, 100_000] {
            let folder = self.folder(&format!("{FOLDER}cut {cut}"));
            let made = self.series(&folder, |_, _| {});
            let bytes = fs_err::read(&made[1]).unwrap();
            fs_err::write(&made[1], &bytes[..bytes.len().saturating_sub(cut).max(400)]).unwrap();
        }
        let folder = self.folder(&format!("{NAME}`syntax"));
        let made = self.series(&folder, |_, _| {});
        for file in made {
            let bytes = fs_err::read(&file).unwrap();
            let at = find(&bytes, b"1.2.840.10008.1.2").unwrap();
            let text = format!("{UID}.1.2.3.4.5.6.7");
            let other = [&bytes[..at], &text.as_bytes()[..17], &bytes[at + 17..]].concat();
            fs_err::write(&file, other).unwrap();
        }
        // Bytes of a name that are read as tags and lengths: after the meta group, and in place of an element.
        for (n, marker) in [b"\x08\0\x05\0CS".as_slice(), b"\x28\0\x10\0US"].into_iter().enumerate()
        {
            let folder = self.folder(&format!("{NAME}{n}`bytes"));
            let made = self.series(&folder, |_, _| {});
            let bytes = fs_err::read(&made[1]).unwrap();
            let at = find(&bytes, marker).unwrap();
            let cut = [&bytes[..at], NAME.repeat(3).as_bytes()].concat();
            fs_err::write(&made[1], cut).unwrap();
        }
        let folder = self.folder(&format!("{NAME}`text"));
        self.series(&folder, |_, _| {});
        fs_err::write(folder.join(format!("{NAME}`.dcm")), format!("{NAME} is no DICOM")).unwrap();
        // Excluded by a rule: its description, and what the file is by its class.
        let folder = self.folder(&format!("{NAME}`localizer"));
        self.series(&folder, |_, object| {
            put(object, tags::IMAGE_TYPE, VR::CS, &format!("ORIGINAL\\PRIMARY\\LOCALIZER\\{NAME}"));
        });
        let folder = self.folder(&format!("{NAME}`reformat"));
        self.series(&folder, |_, object| {
            put(object, tags::IMAGE_TYPE, VR::CS, &format!("DERIVED\\SECONDARY\\MPR\\{NAME} MPR"));
        });
        let folder = self.folder(&format!("{NAME}`no pixels"));
        self.series(&folder, |_, object| {
            put(object, tags::SOP_CLASS_UID, VR::UI, &format!("{UID} class"));
            object.remove_element(tags::PIXEL_DATA);
        });
        for modality in ["SR", "RTSTRUCT", "CT"] {
            let folder = self.folder(&format!("{NAME}`points {modality}"));
            self.series(&folder, |_, object| {
                let class = match modality {
                    "SR" => "1.2.840.10008.5.1.4.1.1.88.33",
                    _ => "1.2.840.10008.5.1.4.1.1.481.3",
                };
                put(object, tags::MODALITY, VR::CS, modality);
                put(object, tags::SOP_CLASS_UID, VR::UI, class);
                put(object, tags::STRUCTURE_SET_LABEL, VR::SH, NAME);
                put(object, tags::TEXT_VALUE, VR::UT, NAME);
                put(object, tags::VALUE_TYPE, VR::CS, NAME);
                object.remove_element(tags::PIXEL_DATA);
                let mut item = InMemDicomObject::new_empty();
                put(&mut item, tags::ROI_NUMBER, VR::IS, NAME);
                put(&mut item, tags::ROI_NAME, VR::LO, NAME);
                let items = DataSetSequence::from(vec![item]);
                object.put(DataElement::new(
                    tags::STRUCTURE_SET_ROI_SEQUENCE,
                    VR::SQ,
                    Value::from(items),
                ));
            });
        }
    }

    /// Names that are no UTF-8, and links.
    #[cfg(unix)]
    pub(crate) fn odd_names(&mut self) {
        use std::os::unix::ffi::OsStrExt as _;
        let odd = std::ffi::OsStr::from_bytes(b"QZMARK\xff\xe4`");
        let folder = self.job.input().join(odd);
        fs_err::create_dir_all(&folder).unwrap();
        let made = self.series(&folder, |_, _| {});
        fs_err::write(folder.join(odd).with_extension("dcm"), NAME).unwrap();
        let bytes = fs_err::read(&made[0]).unwrap();
        fs_err::write(&made[0], &bytes[..bytes.len() - 5]).unwrap();
        let links = self.folder("links");
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, links.join(name)).unwrap();
        link(&format!("/nowhere/{NAME}"), &format!("{NAME}.dcm"));
        link(&format!("{NAME}.mha"), &format!("{NAME}.mha"));
    }

    /// Archives with marks in their names and their members'.
    pub(crate) fn archives(&mut self) {
        let folder = self.folder("archives");
        let at = |name: &str| folder.join(format!("{NAME}`{name}"));
        let aside = tempfile::tempdir().unwrap();
        let made = self.series(aside.path(), |_, _| {});
        let member = |n: usize| format!("{FOLDER}/{NAME}{n}.dcm");
        let tar = |more: &dyn Fn(&mut tar::Builder<Vec<u8>>)| {
            let mut tar = tar::Builder::new(Vec::new());
            for (n, file) in made.iter().enumerate() {
                tar.append_path_with_name(file, member(n)).unwrap();
            }
            more(&mut tar);
            tar.into_inner().unwrap()
        };
        // Slices that are uneven within an archive.
        let mut uneven = tar::Builder::new(Vec::new());
        for n in [0, 1, 3] {
            uneven.append_path_with_name(&made[n], member(n)).unwrap();
        }
        fs_err::write(at("uneven.tar"), uneven.into_inner().unwrap()).unwrap();
        let link = tar(&|tar| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, format!("{FOLDER}/link"), format!("/{NAME}")).unwrap();
        });
        fs_err::write(at("link.tar"), link).unwrap();
        let twice = tar(&|tar| tar.append_path_with_name(&made[0], member(0)).unwrap());
        fs_err::write(at("twice.tar"), twice).unwrap();
        let whole = tar(&|_| {});
        fs_err::write(at("cut.tar"), &whole[..whole.len() / 2]).unwrap();
        fs_err::write(at("damaged.tar.gz"), format!("{NAME} is no gzip")).unwrap();
        fs_err::write(at("damaged.tar.xz"), format!("{NAME} is no xz")).unwrap();
        fs_err::write(at("damaged.zip"), format!("{NAME} is no zip")).unwrap();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(member(0), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&fs_err::read(&made[0]).unwrap()).unwrap();
        let mut bytes = zip.finish().unwrap().into_inner();
        let whole = bytes.clone();
        // The first bit of the flags in both headers: encrypted.
        let central = find(&bytes, b"PK\x01\x02").unwrap();
        bytes[6] |= 1;
        bytes[central + 8] |= 1;
        fs_err::write(at("encrypted.zip"), &bytes).unwrap();
        let mut flipped = whole;
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        fs_err::write(at("flipped.zip"), flipped).unwrap();
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(format!("../{NAME}.dcm"), zip::write::SimpleFileOptions::default()).unwrap();
        fs_err::write(at("outside.zip"), zip.finish().unwrap().into_inner()).unwrap();
        let mut none = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(6);
        none.append_data(&mut header, format!("{NAME}.dcm"), &NAME.as_bytes()[..6]).unwrap();
        fs_err::write(at("none.tar"), none.into_inner().unwrap()).unwrap();
    }

    /// Image files with marks in their headers.
    pub(crate) fn images(&mut self) {
        let folder = self.folder("images");
        let mhd = "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementSpacing = 1 1 1\n\
                   ElementType = MET_SHORT\n";
        let headers = [
            format!("{mhd}Comment = {NAME}\nElementDataFile = {NAME}.raw\n"),
            format!("{mhd}ElementDataFile = ../{NAME}.raw\n"),
            format!("{mhd}ElementDataFile = {NAME}%d.raw {NAME} 2 1\n"),
            format!("{mhd}{NAME} is no line\nElementDataFile = a.raw\n"),
            format!("{mhd}{NAME} = 1\n{NAME} = 2\nElementDataFile = a.raw\n"),
            format!("{mhd}ElementSpacing = {NAME}\nElementDataFile = a.raw\n"),
            format!("{mhd}TransformMatrix = {NAME}\nElementDataFile = a.raw\n"),
            format!("ObjectType = {NAME}\nElementDataFile = a.raw\n"),
            format!("{mhd}CompressedData = {NAME}\nElementDataFile = a.raw\n"),
            format!("{mhd}CompressedData = True\nElementDataFile = LOCAL\n{NAME}"),
        ];
        let nrrd = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\n";
        let nrrds = [
            format!("{nrrd}content: {NAME}\ndata file: {NAME}.raw\n\n"),
            format!("{nrrd}{NAME} no field\n\n"),
            format!("{nrrd}space: {NAME}\n\n"),
            format!("{nrrd}space directions: {NAME}\n\n"),
            format!("{nrrd}endian: {NAME}\n\n"),
            format!("{nrrd}name:={NAME}\n\n"),
            format!("NRRD0004\ntype: {NAME}\n\n"),
            format!("{nrrd}data file: {NAME}%d.raw 1 {NAME} 1\n\n"),
        ];
        let named =
            headers.iter().map(|text| (text, "mhd")).chain(nrrds.iter().map(|t| (t, "nrrd")));
        for (n, (text, end)) in named.enumerate() {
            let name = format!("{NAME}`{n}");
            fs_err::write(folder.join(format!("{name}.{end}")), text).unwrap();
            writeln!(self.rows, "{name},0,0,0,1").unwrap();
        }
        for (n, cut) in [352, 340, 400].into_iter().enumerate() {
            let mut bytes = nifti_header();
            bytes[148..154].copy_from_slice(NAME.as_bytes());
            bytes[328..334].copy_from_slice(NAME.as_bytes());
            bytes[228..234].copy_from_slice(NAME.as_bytes());
            if n == 2 {
                bytes[70..72].copy_from_slice(b"QZ");
            }
            bytes.resize(cut, b'Q');
            fs_err::write(folder.join(format!("{NAME}`{n}.nii")), &bytes).unwrap();
            fs_err::write(folder.join(format!("{NAME}`{n}.nii.gz")), format!("{NAME} no gzip"))
                .unwrap();
            writeln!(self.rows, "{NAME}`{n},0,0,0,1").unwrap();
        }
        // A whole one, with a candidate by its name.
        let volume = format!("{mhd}Comment = {NAME}\nElementDataFile = LOCAL\n").into_bytes();
        let name = format!("{NAME}`whole");
        fs_err::write(folder.join(format!("{name}.mha")), [volume, vec![0; 128]].concat()).unwrap();
        writeln!(self.rows, "{name},1,1,1,1").unwrap();
    }

    /// A folder of tables of candidates, some of them broken; returns its path.
    pub(crate) fn candidates(&self) -> PathBuf {
        let folder = self.job.folder.path().join(format!("{NAME}`candidates"));
        fs_err::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(format!("{NAME}`{name}"));
        fs_err::write(at("good.csv"), &self.rows).unwrap();
        let header = "seriesuid,coordX,coordY,coordZ";
        for (n, text) in [
            format!("{header}\n{NAME},{NAME},2,3\n"),
            format!("{header}\n1.2,1,{NAME},3,4,5\n"),
            format!("{NAME},coordX,coordY,coordZ\n1.2,1,2,3\n"),
            format!("seriesuid,{NAME},{NAME}\n"),
            format!("{header},probability\n1.2,1,2,3,{NAME}\n"),
            format!("{NAME}\u{0}"),
            format!("{header}\n2.25.{NAME}.1.2.3.4.5.6.7,1,2,3\n,1,2,3\n"),
        ]
        .iter()
        .enumerate()
        {
            fs_err::write(at(&format!("{n}.csv")), text).unwrap();
        }
        fs_err::write(at("bytes.csv"), [NAME.as_bytes(), &[0xff, 0xfe]].concat()).unwrap();
        fs_err::write(at("bad.parquet"), format!("{NAME} is no Parquet")).unwrap();
        fs_err::write(at("bad.dcm"), format!("{NAME} is no DICOM")).unwrap();
        let points = files_in(&self.job.input().join(format!("{NAME}`points RTSTRUCT")));
        fs_err::copy(&points[0], at("points.dcm")).unwrap();
        folder
    }

    /// UID of the first series, which is whole.
    pub(crate) fn first_series(&self) -> String {
        series_of(self.slices[0].parent().unwrap())
    }
}

/// A header of NIfTI-1 for 4 × 4 × 4 voxels of int16.
fn nifti_header() -> Vec<u8> {
    let mut bytes = vec![0; 352];
    bytes[0..4].copy_from_slice(&348i32.to_le_bytes());
    for (n, size) in [3i16, 4, 4, 4, 1, 1, 1, 1].into_iter().enumerate() {
        bytes[40 + 2 * n..42 + 2 * n].copy_from_slice(&size.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&4i16.to_le_bytes());
    bytes[72..74].copy_from_slice(&16i16.to_le_bytes());
    bytes[108..112].copy_from_slice(&352f32.to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    bytes
}

fn change(file: &Path, changed: impl FnOnce(&mut InMemDicomObject)) {
    let mut object = dicom_object::open_file(file).unwrap();
    changed(&mut object);
    object.write_to_file(file).unwrap();
}

/// The DICOM files of a folder, sorted.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "dcm")).collect();
    files.sort();
    files
}

/// Where a text is first in bytes.
pub(crate) fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}
