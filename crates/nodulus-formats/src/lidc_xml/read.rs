//! Parses LIDC's XML.

use super::bounds::{self, Exceeded};
use super::encoding;
use super::error::Error;
use super::reads::{Annotations, Contour, NonNodule, Ratings, ReadNodule, Session};
use crate::limits::{MOST_VOXELS_ALONG, POSITION_MM};
use nodulus_faults::fs::File;
use roxmltree::{Document, Node, ParsingOptions};
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

/// Most bytes of a file. LIDC's largest has 2.2 MB.
pub(super) const MOST_BYTES: u64 = 32 << 20;

/// Most nodes of a file: elements, texts and comments. LIDC's largest has 198,097.
const MOST_NODES: u32 = 2_000_000;

/// Pixels along an axis, and as many before the first one.
const PIXELS: RangeInclusive<i64> = -(MOST_VOXELS_ALONG as i64)..=MOST_VOXELS_ALONG as i64;

/// LIDC's ratings go up to 6, and 0 stands for none.
const RATINGS: RangeInclusive<i64> = 0..=6;

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
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Annotations, Error> {
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
