//! Parses LIDC's XML.

use super::bounds::{self, Exceeded};
use super::encoding;
use super::reads::{Annotations, Contour, NonNodule, Ratings, ReadNodule, Session};
use crate::limits::{MOST_VOXELS_ALONG, POSITION_MM};
use fs_err::File;
use roxmltree::{Document, Node, ParsingOptions};
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Most bytes of a file. LIDC's largest has 2.2 MB.
const MOST_BYTES: u64 = 32 << 20;

/// Most nodes of a file: elements, texts and comments. LIDC's largest has 170,000.
const MOST_NODES: u32 = 2_000_000;

/// Pixels along an axis, and as many before the first one.
const PIXELS: RangeInclusive<i64> = -(MOST_VOXELS_ALONG as i64)..=MOST_VOXELS_ALONG as i64;

/// LIDC's ratings go up to 6, and 0 stands for none.
const RATINGS: RangeInclusive<i64> = 0..=6;

/// A file of reads could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are no text.
    #[error(
        "`{path}` has {found}, expected text in the encoding that it declares, or in UTF-8: correct the declaration"
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// The file is larger than any file of reads.
    #[error("`{path}` has {found} bytes, expected at most {MOST_BYTES}, as it is a file of reads")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
    },
    /// The file has more of something than any file of reads.
    #[error("`{path}`, line {line}: more than {most} {what}, expected LIDC's XML, which has a few")]
    TooMany {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// The file is not XML.
    #[error("`{path}` is not XML")]
    Xml {
        /// The file.
        path: PathBuf,
        /// The error of the XML parser.
        source: roxmltree::Error,
    },
    /// The reads are of a chest X-ray.
    #[error(
        "`{0}` holds reads of a chest X-ray (IdriReadMessage), expected reads of a CT series (LidcReadMessage)"
    )]
    XRay(PathBuf),
    /// The file is another kind of message.
    #[error("`{path}` holds {found}, expected LidcReadMessage")]
    OtherMessage {
        /// The file.
        path: PathBuf,
        /// Name of the root element.
        found: String,
    },
    /// A required element is missing.
    #[error("`{path}`, line {line}: {parent} has no {child}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Line of the parent element.
        line: u32,
        /// Name of the parent element.
        parent: String,
        /// Name of the missing element.
        child: &'static str,
    },
    /// The text of an element is not a valid value.
    #[error("`{path}`, line {line}: {element} is `{found}`, expected {expected}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Line of the element.
        line: u32,
        /// Name of the element.
        element: String,
        /// Its text.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Reads the marks of one series. The namespace is ignored; a series that nobody read has no sessions. Text may be in
/// UTF-8, UTF-16 or the encoding that the file declares.
///
/// # Errors
///
/// Fails if the file cannot be read, is not a `LidcReadMessage` (the reads of chest X-rays among LIDC's files are
/// not), or lacks an element that a mark needs, or such an element is not a number; if a position is beyond
/// [`POSITION_MM`], or the file is larger than any file of reads.
pub fn read(path: &Path) -> Result<Annotations, Error> {
    read_as(path, path)
}

/// Reads a file as [`read`] does; errors name it `displayed`.
///
/// # Errors
///
/// Fails as [`read`] does.
pub fn read_as(path: &Path, displayed: &Path) -> Result<Annotations, Error> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found > MOST_BYTES {
        return Err(Error::TooLarge { path: displayed.to_owned(), found });
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    parse(displayed, &bytes)
}

/// Parses the marks of one series; `path` is the file to name in errors.
fn parse(path: &Path, bytes: &[u8]) -> Result<Annotations, Error> {
    let text = encoding::text(bytes)
        .map_err(|error| Error::Encoding { path: path.to_owned(), found: error.found })?;
    bounds::check(&text).map_err(|Exceeded { what, most, line }| Error::TooMany {
        path: path.to_owned(),
        line,
        what,
        most,
    })?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options)
        .map_err(|source| Error::Xml { path: path.to_owned(), source })?;
    let root = XmlElement { node: document.root_element(), path };
    match root.name() {
        "LidcReadMessage" => {}
        "IdriReadMessage" => return Err(Error::XRay(path.to_owned())),
        found => {
            return Err(Error::OtherMessage { path: path.to_owned(), found: found.to_owned() });
        }
    }
    let header = root.child("ResponseHeader")?;
    let study = header.children("StudyInstanceUID").next();
    Ok(Annotations {
        series_instance_uid: header.child("SeriesInstanceUid")?.filled_text("a UID")?,
        delivered: header.delivered(),
        study_instance_uid: study.map(|uid| uid.text().to_owned()).filter(|uid| !uid.is_empty()),
        sessions: root
            .children("readingSession")
            .map(XmlElement::session)
            .collect::<Result<_, _>>()?,
    })
}

/// An element, and the file to name in errors.
#[derive(Clone, Copy)]
struct XmlElement<'a> {
    node: Node<'a, 'a>,
    path: &'a Path,
}

impl<'a> XmlElement<'a> {
    fn name(self) -> &'a str {
        self.node.tag_name().name()
    }

    fn text(self) -> &'a str {
        self.node.text().unwrap_or_default().trim()
    }

    fn line(self) -> u32 {
        self.node.document().text_pos_at(self.node.range().start).row
    }

    fn children(self, name: &'static str) -> impl Iterator<Item = Self> {
        self.node
            .children()
            .filter(move |node| node.is_element() && node.tag_name().name() == name)
            .map(move |node| Self { node, path: self.path })
    }

    fn child(self, child: &'static str) -> Result<Self, Error> {
        self.children(child).next().ok_or_else(|| Error::Missing {
            path: self.path.to_owned(),
            line: self.line(),
            parent: self.name().to_owned(),
            child,
        })
    }

    fn wrong(self, expected: &'static str) -> Error {
        Error::Value {
            path: self.path.to_owned(),
            line: self.line(),
            element: self.name().to_owned(),
            found: self.text().to_owned(),
            expected,
        }
    }

    fn filled_text(self, expected: &'static str) -> Result<String, Error> {
        match self.text() {
            "" => Err(self.wrong(expected)),
            text => Ok(text.to_owned()),
        }
    }

    /// Date and time of service in a header; `None` unless both have LIDC's format.
    fn delivered(self) -> Option<String> {
        let date = self.children("DateService").next()?.text();
        let time = self.children("TimeService").next()?.text();
        let digits = |text: &str, mark: char, lengths: [usize; 3]| {
            let parts: Vec<&str> = text.split(mark).collect();
            parts.len() == 3
                && parts.iter().zip(lengths).all(|(part, length)| {
                    part.len() == length && part.bytes().all(|b| b.is_ascii_digit())
                })
        };
        (digits(date, '-', [4, 2, 2]) && digits(time, ':', [2, 2, 2]))
            .then(|| format!("{date} {time}"))
    }

    fn value<T: FromStr>(self, expected: &'static str) -> Result<T, Error> {
        self.text().parse().map_err(|_| self.wrong(expected))
    }

    /// A whole number, and what is expected where it is not in a range.
    fn integer(self, range: &RangeInclusive<i64>, expected: &'static str) -> Result<i64, Error> {
        let number = self.value("an integer")?;
        if range.contains(&number) { Ok(number) } else { Err(self.wrong(expected)) }
    }

    fn pixel(self) -> Result<i64, Error> {
        self.integer(&PIXELS, "a pixel, -65535 to 65535")
    }

    fn z_mm(self) -> Result<f64, Error> {
        let z = self.child("imageZposition")?;
        let z_mm: f64 = z.value("millimetres")?;
        if POSITION_MM.holds(z_mm) { Ok(z_mm) } else { Err(z.wrong(POSITION_MM.text)) }
    }

    fn sop_instance_uid(self) -> String {
        let uid = self.children("imageSOP_UID").next();
        uid.map(|uid| uid.text().to_owned()).unwrap_or_default()
    }

    fn point(self) -> Result<[i64; 2], Error> {
        Ok([self.child("xCoord")?.pixel()?, self.child("yCoord")?.pixel()?])
    }

    fn session(self) -> Result<Session, Error> {
        Ok(Session {
            nodules: self
                .children("unblindedReadNodule")
                .map(XmlElement::nodule)
                .collect::<Result<_, _>>()?,
            non_nodules: self
                .children("nonNodule")
                .map(XmlElement::non_nodule)
                .collect::<Result<_, _>>()?,
        })
    }

    fn nodule(self) -> Result<ReadNodule, Error> {
        let ratings = self.children("characteristics").next();
        Ok(ReadNodule {
            reader_nodule_id: self.child("noduleID")?.text().to_owned(),
            ratings: ratings.map(XmlElement::ratings).transpose()?.flatten(),
            contours: self.children("roi").map(XmlElement::contour).collect::<Result<_, _>>()?,
        })
    }

    /// The ratings; `None` if no value is given. A zero stands for no value.
    fn ratings(self) -> Result<Option<Ratings>, Error> {
        let mut values = [None; 9];
        for (value, name) in values.iter_mut().zip(Ratings::NAMES) {
            if let Some(rating) = self.children(name).next() {
                let rating = rating.integer(&RATINGS, "a rating, 0 to 6")?;
                *value = Some(rating).filter(|rating| *rating != 0);
            }
        }
        let rated = values.iter().any(Option::is_some);
        Ok(rated.then(|| Ratings::from_values(values)))
    }

    fn contour(self) -> Result<Contour, Error> {
        let inclusion = self.child("inclusion")?;
        Ok(Contour {
            z_mm: self.z_mm()?,
            inclusion: match inclusion.text() {
                "TRUE" => true,
                "FALSE" => false,
                _ => return Err(inclusion.wrong("TRUE or FALSE")),
            },
            points: {
                self.child("edgeMap")?;
                self.children("edgeMap").map(XmlElement::point).collect::<Result<_, _>>()?
            },
            sop_instance_uid: self.sop_instance_uid(),
        })
    }

    fn non_nodule(self) -> Result<NonNodule, Error> {
        Ok(NonNodule {
            id: self.child("nonNoduleID")?.text().to_owned(),
            z_mm: self.z_mm()?,
            point: self.child("locus")?.point()?,
            sop_instance_uid: self.sop_instance_uid(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::reads::NoduleKind;
    use super::*;

    /// A short file in LIDC's format: a rated nodule, one with zeros only, and a non-nodule.
    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="1.3.0" xmlns="http://www.nih.gov">
<ResponseHeader>
<SeriesInstanceUid>1.3.6.1</SeriesInstanceUid>
<StudyInstanceUID> 1.3.6.2 </StudyInstanceUID></ResponseHeader>
<readingSession>
  <annotationVersion>3.12</annotationVersion>
  <unblindedReadNodule>
    <noduleID>Nodule 001</noduleID>
    <characteristics><subtlety>5</subtlety><malignancy>0</malignancy></characteristics>
    <roi>
      <imageZposition>-125.000000 </imageZposition>
      <imageSOP_UID>1.3.6.3</imageSOP_UID>
      <inclusion>TRUE</inclusion>
      <edgeMap><xCoord>312</xCoord><yCoord>355</yCoord></edgeMap>
      <edgeMap><xCoord>311</xCoord><yCoord>356</yCoord></edgeMap>
    </roi>
    <roi>
      <imageZposition>-127.5</imageZposition>
      <inclusion>FALSE</inclusion>
      <edgeMap><xCoord>1</xCoord><yCoord>2</yCoord></edgeMap>
    </roi>
  </unblindedReadNodule>
  <unblindedReadNodule>
    <noduleID>2</noduleID>
    <characteristics><subtlety>0</subtlety><texture>0</texture></characteristics>
    <roi>
      <imageZposition>10</imageZposition>
      <inclusion>TRUE</inclusion>
      <edgeMap><xCoord>7</xCoord><yCoord>8</yCoord></edgeMap>
    </roi>
  </unblindedReadNodule>
  <nonNodule>
    <nonNoduleID>_Non-nodule 001</nonNoduleID>
    <imageZposition>-185.0</imageZposition>
    <imageSOP_UID>1.3.6.4</imageSOP_UID>
    <locus><xCoord>396</xCoord><yCoord>216</yCoord></locus>
  </nonNodule>
</readingSession>
<readingSession/>
</LidcReadMessage>"#;

    fn parse_text(text: &str) -> Result<Annotations, Error> {
        parse(Path::new("reads.xml"), text.as_bytes())
    }

    #[test]
    fn every_mark_of_a_file_is_read() {
        let reads = parse_text(FILE).unwrap();
        assert_eq!(reads.series_instance_uid, "1.3.6.1");
        assert_eq!(reads.study_instance_uid.as_deref(), Some("1.3.6.2"));
        assert_eq!(reads.sessions.len(), 2);
        assert_eq!(reads.sessions[1], Session::default());
        let [nodule, small] = reads.sessions[0].nodules.as_slice() else { panic!() };
        assert_eq!(nodule.reader_nodule_id, "Nodule 001");
        assert_eq!(nodule.kind(), NoduleKind::Nodule);
        // A single zero is a rating that was not given.
        assert_eq!(nodule.ratings, Some(Ratings { subtlety: Some(5), ..Ratings::default() }));
        assert_eq!(nodule.contours[0].points, [[312, 355], [311, 356]]);
        assert_eq!(nodule.contours[0].sop_instance_uid, "1.3.6.3");
        assert!((nodule.contours[0].z_mm + 125.0).abs() < 1e-12);
        assert!(nodule.contours[0].inclusion && !nodule.contours[1].inclusion);
        assert_eq!((small.kind(), small.ratings), (NoduleKind::SmallNodule, None));
        assert_eq!(
            reads.sessions[0].non_nodules,
            [NonNodule {
                id: "_Non-nodule 001".to_owned(),
                z_mm: -185.0,
                point: [396, 216],
                sop_instance_uid: "1.3.6.4".to_owned(),
            }]
        );
    }

    #[test]
    fn the_namespace_does_not_matter() {
        let bare = FILE.replace(" xmlns=\"http://www.nih.gov\"", "");
        assert_eq!(parse_text(&bare).unwrap(), parse_text(FILE).unwrap());
    }

    #[test]
    fn reads_of_an_x_ray_are_named_as_such() {
        let error = parse_text(&FILE.replace("LidcReadMessage", "IdriReadMessage")).unwrap_err();
        assert!(error.to_string().starts_with("`reads.xml` holds reads of a chest X-ray"));
        let error = parse_text("<html/>").unwrap_err();
        assert_eq!(error.to_string(), "`reads.xml` holds html, expected LidcReadMessage");
    }

    #[test]
    fn invalid_elements_are_named_with_their_line() {
        for (from, to, message) in [
            ("-127.5", "up", "line 19: imageZposition is `up`, expected millimetres"),
            (
                "-127.5",
                "inf",
                "line 19: imageZposition is `inf`, expected -1000000 to 1000000 mm",
            ),
            (
                "-127.5",
                "1e7",
                "line 19: imageZposition is `1e7`, expected -1000000 to 1000000 mm",
            ),
            ("396", "70000", "line 37: xCoord is `70000`, expected a pixel, -65535 to 65535"),
            ("<subtlety>5", "<subtlety>7", "line 10: subtlety is `7`, expected a rating, 0 to 6"),
            ("FALSE", "maybe", "line 20: inclusion is `maybe`, expected TRUE or FALSE"),
            ("396", "39.6", "line 37: xCoord is `39.6`, expected an integer"),
            ("<subtlety>5", "<subtlety>high", "line 10: subtlety is `high`, expected an integer"),
            ("<xCoord>7</xCoord>", "", "line 30: edgeMap has no xCoord"),
            ("SeriesInstanceUid>", "Other>", "line 3: ResponseHeader has no SeriesInstanceUid"),
        ] {
            let error = parse_text(&FILE.replace(from, to)).unwrap_err();
            assert_eq!(error.to_string(), format!("`reads.xml`, {message}"));
        }
        assert!(matches!(parse_text("<a>"), Err(Error::Xml { .. })));
    }

    #[test]
    fn encodings_give_the_same_reads() {
        let named = FILE.replace("Nodule 001", "Müller");
        let reads = parse_text(&named).unwrap();
        assert_eq!(reads.sessions[0].nodules[0].reader_nodule_id, "Müller");
        let declared = |name: &str| named.replace("UTF-8", name);
        let latin: Vec<u8> = declared("ISO-8859-1").chars().map(|c| c as u8).collect();
        let wide = declared("UTF-16").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [latin, wide] {
            assert_eq!(parse(Path::new("reads.xml"), &bytes).unwrap(), reads);
        }
        let error = parse_text(&declared("latin-x")).unwrap_err().to_string();
        assert!(error.starts_with("`reads.xml` has the encoding `latin-x`, expected text"), "{error}");
    }

    /// The parser alone takes 14 s for the first of these files, and more than 2 minutes for the second.
    #[test]
    fn a_small_file_takes_no_long_time() {
        let list = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<String>();
        let with = |attributes: &str, body: &str| {
            FILE.replace(" uid=\"1.3.0\"", attributes).replace("<readingSession/>", body)
        };
        let attributes = with(&list(100_000, &|n| format!(" a{n}=\"1\"")), "");
        let namespaces = with(
            &list(3000, &|n| format!(" xmlns:a{n}=\"u{n}\"")),
            &list(20_000, &|n| format!("<b xmlns:c{n}=\"v{n}\"/>")),
        );
        let deep = with("", &("<a>".repeat(1_000_000) + &"</a>".repeat(1_000_000)));
        let begun = std::time::Instant::now();
        for (text, expected) in [
            (attributes, "line 2: more than 100 attributes of an element, expected LIDC's XML"),
            (namespaces, "line 2: more than 100 attributes of an element, expected LIDC's XML"),
            (deep, "more than 100 elements inside one another, expected LIDC's XML"),
        ] {
            let error = parse_text(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml");
        File::create(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(read(&path), Err(Error::TooLarge { .. })));
    }
}
