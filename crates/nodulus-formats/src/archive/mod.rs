//! Archives of files: zip, and tar, plain or compressed with gzip, xz or zstd.
//!
//! Members are unpacked into a temporary folder, because the DICOM reader seeks.

mod temporary;

pub use temporary::{remove_temporary_folders, sweep_temporary_folders};

use flate2::read::MultiGzDecoder;
use fs_err as fs;
use lzma_rust2::XzReader;
use nodulus_faults::fs::File;
use nodulus_faults::quoted::{self, Words};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use temporary::TemporaryFolder;

/// Most bytes that an archive may unpack to: about fifty scans of 600 slices.
pub const MAX_BYTES: u64 = 16 << 30;
/// Most times its own bytes that an archive may unpack to, unless that is less than [`SMALL_BYTES`].
///
/// METHOD: deflate compresses no further (258 bytes to 2 bits), CT no further than to a tenth. zstd and xz pack empty bytes ten times tighter.
pub const MAX_RATIO: u64 = 1032;
/// What an archive of any size may unpack to.
pub const SMALL_BYTES: u64 = 256 << 20;
/// Most members of an archive, folders included.
pub const MAX_MEMBERS: usize = 100_000;
/// Most bytes between two members of a tar archive: headers and long names.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// Memory that xz may use. The dictionary of its highest preset has 64 MiB.
pub(crate) const XZ_MEMORY_KIB: u32 = 128 << 10;

/// An archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive cannot be opened.
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    /// The archive is truncated or malformed, or not compressed as its name says.
    #[error(
        "{archive} cannot be unpacked{}",
        member.as_ref().map_or(String::new(), |name| format!(": member `{}`", quoted::text(name))),
        archive = quoted::path(archive)
    )]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// The member that is damaged, where known.
        member: Option<String>,
        /// The cause.
        source: io::Error,
    },
    /// A member is not a file or folder that can be unpacked.
    #[error(
        "{archive} has the member `{member}`, which {what}, expected {expected}",
        archive = quoted::path(archive),
        member = quoted::text(member)
    )]
    Member {
        /// The archive.
        archive: PathBuf,
        /// The member's name.
        member: String,
        /// What is wrong with it.
        what: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// The archive is larger than the limits.
    #[error("{archive} unpacks to more than {most}", archive = quoted::path(archive))]
    TooLarge {
        /// The archive.
        archive: PathBuf,
        /// The limit.
        most: String,
    },
    /// Members of a zip share bytes.
    #[error(
        "{path} has members that overlap, expected bytes of its own for each one: a small file could fill the disk; pack it \
         again with another program",
        path = quoted::path(.0)
    )]
    Overlapping(PathBuf),
    /// The archive has no file.
    #[error("{path} holds no file", path = quoted::path(.0))]
    Empty(PathBuf),
    /// The temporary folder cannot be created or written to.
    #[error(
        "cannot unpack {archive} into the folder for temporary files (TMPDIR)",
        archive = quoted::path(archive)
    )]
    Temporary {
        /// The archive.
        archive: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
}

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArchiveFormat {
    Zip,
    Tar,
    TarGz,
    TarXz,
    TarZst,
}

/// Formats by the end of a file's name.
const NAMES: [(&str, ArchiveFormat); 8] = [
    (".zip", ArchiveFormat::Zip),
    (".tar", ArchiveFormat::Tar),
    (".tar.gz", ArchiveFormat::TarGz),
    (".tgz", ArchiveFormat::TarGz),
    (".tar.xz", ArchiveFormat::TarXz),
    (".txz", ArchiveFormat::TarXz),
    (".tar.zst", ArchiveFormat::TarZst),
    (".tzst", ArchiveFormat::TarZst),
];

fn format(path: &Path) -> Option<ArchiveFormat> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    NAMES.iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| *format)
}

/// Whether a file is an archive by its name.
pub fn is_archive(path: &Path) -> bool {
    format(path).is_some()
}

/// The files of an archive in a temporary folder, which is removed when this is dropped.
#[derive(Debug)]
pub struct UnpackedArchive {
    folder: TemporaryFolder,
    /// The files, sorted by path; hidden ones are skipped.
    pub files: Vec<PathBuf>,
}

impl UnpackedArchive {
    /// The temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Unpacks an archive. An archive inside it is a file like any other.
///
/// # Errors
///
/// Fails if the archive cannot be read to its end, exceeds [`MAX_BYTES`], [`MAX_RATIO`] or [`MAX_MEMBERS`], is encrypted,
/// uses a compression other than deflate in a zip, has members that overlap, or has no file; if a member is a link, a device or sparse, would lie
/// outside the folder, or has the path of another one; or if the disk is full.
pub fn unpack(archive: &Path) -> Result<UnpackedArchive, Error> {
    let source = File::open(archive)?;
    let length = source.metadata()?.len();
    let source = BufReader::new(source);
    let folder = TemporaryFolder::new().map_err(|error| temporary_error(archive, &error))?;
    let most_bytes = length.saturating_mul(MAX_RATIO).clamp(SMALL_BYTES, MAX_BYTES);
    let mut unpacker = Unpacker {
        archive,
        folder: folder.path(),
        files: Vec::new(),
        n_members: 0,
        most_bytes,
        bytes_left: most_bytes,
    };
    match format(archive) {
        None | Some(ArchiveFormat::Tar) => unpacker.tar(source)?,
        Some(ArchiveFormat::Zip) => unpacker.zip(source)?,
        Some(ArchiveFormat::TarGz) => unpacker.tar(MultiGzDecoder::new(source))?,
        Some(ArchiveFormat::TarXz) => {
            unpacker.tar(XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB))?;
        }
        Some(ArchiveFormat::TarZst) => {
            let decoder = zstd::Decoder::with_buffer(source);
            unpacker.tar(decoder.map_err(|error| unpacker.damaged(None, error))?)?;
        }
    }
    let mut files = unpacker.files;
    if files.is_empty() {
        return Err(Error::Empty(archive.to_owned()));
    }
    files.sort();
    Ok(UnpackedArchive { folder, files })
}

struct Unpacker<'a> {
    archive: &'a Path,
    folder: &'a Path,
    files: Vec<PathBuf>,
    n_members: usize,
    /// Most bytes that all members may have.
    most_bytes: u64,
    bytes_left: u64,
}

impl Unpacker<'_> {
    fn zip(&mut self, source: BufReader<File>) -> Result<(), Error> {
        let mut zip = zip::ZipArchive::new(source)
            .map_err(|error| self.damaged(None, io::Error::other(error)))?;
        if zip.len() > MAX_MEMBERS {
            return Err(self.too_large(format!("{MAX_MEMBERS} files and folders")));
        }
        let overlaps = zip.has_overlapping_entries();
        if overlaps.map_err(|error| self.damaged(None, io::Error::other(error)))? {
            return Err(Error::Overlapping(self.archive.to_owned()));
        }
        for at in 0..zip.len() {
            let name = zip.name_for_index(at).and_then(Result::ok).map(Cow::into_owned);
            let encrypted = zip.by_index_raw(at).is_ok_and(|member| member.encrypted());
            let name = name.unwrap_or_else(|| format!("number {}", at + 1));
            if encrypted {
                return Err(self.member(&name, "is encrypted", "one that is not"));
            }
            let member = zip.by_index(at);
            let mut member =
                member.map_err(|error| self.damaged(Some(&name), io::Error::other(error)))?;
            let is_folder = member.is_dir();
            if member.is_symlink() || !(is_folder || member.is_file()) {
                return Err(self.member(&name, "is a link", "a file or a folder"));
            }
            self.unpack_member(&name, is_folder, &mut member)?;
        }
        Ok(())
    }

    fn tar(&mut self, source: impl Read) -> Result<(), Error> {
        let limit = ReadLimit::default();
        let mut tar = tar::Archive::new(LimitedReader { source, limit: &limit });
        let mut end = 0;
        limit.allow(MAX_HEADER_BYTES);
        let entries = tar.entries().map_err(|error| self.damaged(None, error))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.damaged(None, error))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                continue;
            }
            if !(kind.is_file() || kind.is_contiguous() || kind.is_dir()) {
                let what = "is a link, a device or a sparse file";
                return Err(self.member(&name, what, "a file or a folder"));
            }
            end = entry.raw_file_position() + entry.size().next_multiple_of(512);
            limit.allow(entry.size());
            self.unpack_member(&name, kind.is_dir(), &mut entry)?;
            limit.allow(MAX_HEADER_BYTES);
        }
        // A block of zeros must follow the last member: without it, the archive may be truncated.
        if limit.read.get() < end + 512 {
            let error = Words::of(
                io::ErrorKind::UnexpectedEof,
                "the archive ends without its closing block",
            );
            return Err(self.damaged(None, error));
        }
        // Reads to the end, which verifies the compressed stream.
        let mut rest = tar.into_inner();
        let mut buffer = [0; 1 << 13];
        loop {
            let n = rest.read(&mut buffer).map_err(|error| self.damaged(None, error))?;
            if buffer[..n].iter().any(|byte| *byte != 0) {
                let error = "there are more bytes after the archive's closing block";
                return Err(self.damaged(None, Words::of(io::ErrorKind::Other, error)));
            }
            if n == 0 {
                return Ok(());
            }
        }
    }

    fn unpack_member(
        &mut self,
        name: &str,
        is_folder: bool,
        content: &mut impl Read,
    ) -> Result<(), Error> {
        self.n_members += 1;
        if self.n_members > MAX_MEMBERS {
            return Err(self.too_large(format!("{MAX_MEMBERS} files and folders")));
        }
        let path = Path::new(name);
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if name.contains('\\') {
            return Err(self.member(
                name,
                "has a `\\` in its name",
                "`/` between folders, as every system reads it; pack it again with another program",
            ));
        }
        if name.contains('\0') || !path.components().all(inside) {
            return Err(self.member(
                name,
                "lies outside the archive",
                "a path below its root, with `/`",
            ));
        }
        let hidden = path.components().any(|part| {
            matches!(part, Component::Normal(part) if part.to_string_lossy().starts_with('.'))
        });
        let target_path = self.folder.join(path);
        if is_folder || target_path == self.folder {
            return Ok(());
        }
        let temporary = |error: io::Error| temporary_error(self.archive, &error);
        let mut target = if hidden {
            None
        } else {
            if target_path.exists() || target_path.ancestors().skip(1).any(Path::is_file) {
                return Err(self.member(
                    name,
                    "has the path of another member",
                    "one member for each path",
                ));
            }
            fs::create_dir_all(target_path.parent().unwrap_or(self.folder)).map_err(temporary)?;
            Some(fs::File::create_new(&target_path).map_err(temporary)?)
        };
        let mut buffer = [0; 1 << 13];
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(Some(name), error)),
            };
            self.bytes_left = match self.bytes_left.checked_sub(n as u64) {
                Some(left) => left,
                None => return Err(self.too_many_bytes()),
            };
            if let Some(target) = &mut target {
                target.write_all(&buffer[..n]).map_err(temporary)?;
            }
        }
        if target.is_some() {
            self.files.push(target_path);
        }
        Ok(())
    }

    fn damaged(&self, member: Option<&str>, source: io::Error) -> Error {
        let (archive, member) = (self.archive.to_owned(), member.map(str::to_owned));
        Error::Damaged { archive, member, source }
    }

    fn member(&self, member: &str, what: &'static str, expected: &'static str) -> Error {
        let (archive, member) = (self.archive.to_owned(), member.to_owned());
        Error::Member { archive, member, what, expected }
    }

    fn too_many_bytes(&self) -> Error {
        let limit = match self.most_bytes {
            MAX_BYTES => "which is the most for a case".to_owned(),
            SMALL_BYTES => "which is the most for a small archive".to_owned(),
            _ => format!("which is {MAX_RATIO} times its own size"),
        };
        self.too_large(format!("{} bytes, {limit}", self.most_bytes))
    }

    fn too_large(&self, most: String) -> Error {
        Error::TooLarge { archive: self.archive.to_owned(), most }
    }
}

/// The error does not name the temporary path, which differs each time.
fn temporary_error(archive: &Path, error: &io::Error) -> Error {
    let source = nodulus_faults::os_error(error).unwrap_or_else(|| error.kind().into());
    Error::Temporary { archive: archive.to_owned(), source }
}

/// How much was read from a tar archive, and how much may be: a header must not fill the memory.
#[derive(Debug, Default)]
struct ReadLimit {
    read: Cell<u64>,
    allowed: Cell<u64>,
}

impl ReadLimit {
    /// Allows so many more bytes, and the padding of a block.
    fn allow(&self, n_bytes: u64) {
        self.allowed.set(self.read.get().saturating_add(n_bytes).saturating_add(1024));
    }
}

struct LimitedReader<'a, R> {
    source: R,
    limit: &'a ReadLimit,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        let read = self.limit.read.get() + n as u64;
        self.limit.read.set(read);
        if read > self.limit.allowed.get() {
            return Err(Words::of(
                io::ErrorKind::Other,
                "there is more than 1 MiB between two members, or after the last one",
            ));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
