use super::*;
use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::EntryType as Kind;

const FILES: [(&str, &[u8]); 3] = [("s/1.dcm", b"one"), ("s/below/2", b"two"), ("r.xml", b"<x/>")];

/// The same archive made by Python: `lzma.compress` of what `tarfile` writes in GNU format.
const XZ: &str = "/Td6WFoAAATm1rRGAgAhARAAAACocI6G4Cf/AIxdADmLwiMBKsCBufjlRormyw0QCmjvxH3RsYcVmP2XF7Sags1n\
    aF7NTfDQGU/PdwJKfSEDqEoM8P2XyyMeCPSIrJb8zXavrP3ffQ7mqyKtTLe9bJGcOq9mKROUYT3CWQsbX7npyN16\
    HM+s+SwAdfc0KCzo1JBGr1mtnCI4kAjjDrU2qxvO48PjYH7TkmAAABlfQnch50WbAAGoAYBQAABl9p+KscRn+wIA\
    AAAABFla";

fn xz() -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(XZ).unwrap()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn header(name: &str, kind: Kind, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // Set by hand, as the library refuses names that lead outside.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let header = header(name, Kind::Regular, bytes.len() as u64);
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn of(name: &str, bytes: &[u8]) -> Result<UnpackedArchive, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    unpack(&path)
}

/// The error and its cause.
fn refused(name: &str, bytes: &[u8]) -> String {
    let error = of(name, bytes).unwrap_err();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn every_format_is_unpacked_and_its_folder_is_removed() {
    let tar = tarred(&FILES);
    let archives = [
        ("a.zip", zipped(&FILES)),
        ("a.TAR", tar.clone()),
        ("a.tar.gz", gzipped(&tar)),
        ("a.tgz", gzipped(&tar)),
        ("a.tar.xz", xz()),
        ("a.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
    ];
    for (name, bytes) in archives {
        let unpacked = of(name, &bytes).unwrap();
        let folder = unpacked.folder().to_owned();
        let found: Vec<_> = unpacked.files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert_eq!(found, [&b"<x/>"[..], b"one", b"two"], "{name}");
        let names = ["r.xml", "s/1.dcm", "s/below/2"].map(|name| folder.join(name));
        assert_eq!(unpacked.files, names);
        drop(unpacked);
        assert!(!folder.exists());
    }
    assert!(
        !["a.nii.gz", "a.gz", "zip", "a.zip.dcm"].iter().any(|name| is_archive(Path::new(name)))
    );
}

#[test]
fn hidden_files_and_folders_are_skipped() {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header("s/", Kind::Directory, 0), io::empty()).unwrap();
    for name in ["s/._1.dcm", ".git/x", "./s/1.dcm"] {
        tar.append(&header(name, Kind::Regular, 1), &b"x"[..]).unwrap();
    }
    let unpacked = of("a.tar", &tar.into_inner().unwrap()).unwrap();
    assert_eq!(unpacked.files, [unpacked.folder().join("s/1.dcm")]);
}

#[test]
fn a_member_that_cannot_be_unpacked_is_refused_by_name() {
    let outside = "lies outside the archive, expected a path below its root";
    for (name, what) in [
        ("../a", outside),
        ("/etc/a", outside),
        ("s/../../a", outside),
        ("s\\a", "has a `\\` in its name, expected `/` between folders"),
    ] {
        for (archive, bytes) in
            [("a.tar", tarred(&[(name, b"x")])), ("a.zip", zipped(&[("ok", b"x"), (name, b"x")]))]
        {
            let error = refused(archive, &bytes);
            let expected = format!("{archive}` has the member `{name}`, which {what}");
            assert!(error.contains(&expected), "{error}");
        }
    }
    for kind in [Kind::Symlink, Kind::Link, Kind::Char, Kind::Block, Kind::Fifo] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = header("1.dcm", kind, 0);
        header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        header.set_cksum();
        tar.append(&header, io::empty()).unwrap();
        let error = refused("a.tar", &tar.into_inner().unwrap());
        assert!(error.contains("member"), "{kind:?}: {error}");
    }
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.add_symlink("1.dcm", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let error = refused("a.zip", &zip.finish().unwrap().into_inner());
    assert!(
        error.ends_with("the member `1.dcm`, which is a link, expected a file or a folder"),
        "{error}"
    );
    let twice = refused("a.tar", &tarred(&[("1.dcm", b"x"), ("1.dcm", b"y")]));
    assert!(twice.contains("member `1.dcm`, which has the path of another member"), "{twice}");
    let under = refused("a.tar", &tarred(&[("1.dcm", b"x"), ("1.dcm/2", b"y")]));
    assert!(under.contains("member `1.dcm/2`, which has the path of another member"), "{under}");
}

#[test]
fn a_damaged_empty_or_encrypted_archive_is_named() {
    let tar = tarred(&FILES);
    for (name, bytes) in
        [("a.zip", zipped(&[])), ("a.tar", tarred(&[])), ("a.tgz", gzipped(&tarred(&[])))]
    {
        assert!(refused(name, &bytes).ends_with(&format!("{name}` holds no file")));
    }
    for name in ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.zst"] {
        for bytes in [&b""[..], b"no archive at all", &[0xFF; 2000]] {
            let error = refused(name, bytes);
            assert!(error.contains(&format!("{name}` cannot be unpacked")), "{error}");
        }
    }
    // Without the closing block after the last member, a member could be missing.
    let error = refused("a.tar", &tar[..3 * 1024]);
    assert!(error.ends_with("the archive ends without its closing block"), "{error}");
    for length in (0..3 * 1024).step_by(64) {
        refused("a.tar", &tar[..length]);
    }
    let error = refused("a.tar", &[tar.clone(), tarred(&[("2.dcm", b"x")])].concat());
    assert!(error.ends_with("there are more bytes after the archive's closing block"), "{error}");
    let gz = gzipped(&tar);
    let error = refused("a.tgz", &gz[..gz.len() - 9]);
    assert!(error.contains("a.tgz` cannot be unpacked"), "{error}");
    let mut zip = zipped(&FILES);
    // The flag of encryption in each header, local and central.
    for (signature, at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let starts: Vec<_> = zip.windows(4).enumerate().filter(|(_, w)| w == signature).collect();
        for start in starts.into_iter().map(|(start, _)| start).collect::<Vec<_>>() {
            zip[start + at] |= 1;
        }
    }
    let error = refused("a.zip", &zip);
    assert!(
        error.ends_with("member `s/1.dcm`, which is encrypted, expected one that is not"),
        "{error}"
    );
    let mut zip = zipped(&[("1.dcm", &[7; 1000])]);
    let at = zip.windows(5).position(|w| w == b"1.dcm").unwrap() + 6;
    zip[at] ^= 0x55;
    let error = refused("a.zip", &zip);
    assert!(error.contains("a.zip` cannot be unpacked: member `1.dcm`"), "{error}");
}

#[test]
fn what_an_archive_may_hold_is_bounded() {
    // A long name of 3 MiB, which the library would read into memory.
    let mut tar = tar::Builder::new(Vec::new());
    let long = vec![b'a'; 3 << 20];
    tar.append(&header("././@LongLink", Kind::GNULongName, long.len() as u64), &long[..]).unwrap();
    tar.append(&header("1.dcm", Kind::Regular, 1), &b"x"[..]).unwrap();
    let error = refused("a.tar.gz", &gzipped(&tar.into_inner().unwrap()));
    assert!(
        error.ends_with("there is more than 1 MiB between two members, or after the last one"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut unpacker = Unpacker {
        archive: Path::new("a.zip"),
        folder: folder.path(),
        files: Vec::new(),
        n_members: 0,
        most_bytes: MAX_BYTES,
        bytes_left: 5,
    };
    unpacker.unpack_member("a", false, &mut &b"abc"[..]).unwrap();
    let error = unpacker.unpack_member("b", false, &mut &b"abc"[..]).unwrap_err().to_string();
    assert_eq!(
        error,
        "`a.zip` unpacks to more than 17179869184 bytes, which is the most for a case"
    );
    unpacker.n_members = MAX_MEMBERS;
    let error = unpacker.unpack_member("c", true, &mut io::empty()).unwrap_err().to_string();
    assert_eq!(error, "`a.zip` unpacks to more than 100000 files and folders");
}

/// A zip whose central directory lists one deflated member under `n` names, each of 1 MiB of zeros (Fifield 2019).
fn overlapping(n: u16) -> Vec<u8> {
    let zip = zipped(&[("00000", &vec![0; 1 << 20])]);
    let central = zip.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let end = zip.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let mut bytes = zip[..central].to_vec();
    for member in 0..n {
        let mut entry = zip[central..end].to_vec();
        let at = entry.windows(5).position(|w| w == b"00000").unwrap();
        entry[at..at + 5].copy_from_slice(format!("{member:05}").as_bytes());
        bytes.extend(entry);
    }
    let size = (bytes.len() - central) as u32;
    let mut end = zip[end..].to_vec();
    end[8..10].copy_from_slice(&n.to_le_bytes());
    end[10..12].copy_from_slice(&n.to_le_bytes());
    end[12..16].copy_from_slice(&size.to_le_bytes());
    bytes.extend(end);
    bytes
}

#[test]
fn members_of_a_zip_that_share_bytes_are_refused() {
    assert_eq!(of("a.zip", &overlapping(1)).unwrap().files.len(), 1);
    let bytes = overlapping(2000);
    assert!(bytes.len() < 200_000);
    let error = refused("a.zip", &bytes);
    assert!(
        error.contains("a.zip` has members that overlap, expected bytes of its own"),
        "{error}"
    );
}

#[test]
fn a_small_archive_does_not_become_a_large_folder() {
    // 300 MiB of zeros take 10 to 30 KB.
    let n = 300 << 20;
    let header = header("1.dcm", Kind::Regular, n);
    let tar = header.as_bytes().chain(io::repeat(0).take(n + 1024));
    let packed = zstd::encode_all(tar, 1).unwrap();
    assert!(packed.len() < 100_000, "{}", packed.len());
    let error = refused("a.tar.zst", &packed);
    let expected = "unpacks to more than 268435456 bytes, which is the most for a small archive";
    assert!(error.ends_with(expected), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damage_is_an_error_or_files_and_not_a_panic(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let tar = tarred(&FILES);
        let (name, mut bytes) = match which {
            0 => ("a.zip", zipped(&FILES)),
            1 => ("a.tar", tar),
            2 => ("a.tgz", gzipped(&tar)),
            3 => ("a.tar.xz", xz()),
            _ => ("a.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(unpacked) = of(name, &bytes) {
            prop_assert!(unpacked.files.iter().all(|file| file.starts_with(unpacked.folder())));
        }
    }
}
