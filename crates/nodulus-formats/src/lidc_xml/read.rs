//! Parses LIDC's XML.

use super::reads::{Annotations, Contour, NonNodule, Ratings, ReadNodule, Session};
use nodulus_faults::fs;
use roxmltree::{Document, Node};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file of reads could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is not UTF-8.
    #[error(transparent)]
    Io(#[from] io::Error),
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

/// Reads the marks of one series. The namespace is ignored; a series that nobody read has no sessions.
///
/// # Errors
///
/// Fails if the file cannot be read, is not a `LidcReadMessage` (the reads of chest X-rays among LIDC's files are
/// not), or lacks an element that a mark needs, or such an element is not a number.
pub fn read(path: &Path) -> Result<Annotations, Error> {
    let text = fs::read_to_string(path)?;
    parse(path, &text)
}

/// Parses the marks of one series from a text, as [`read`] does; `path` is the file to name in errors.
///
/// # Errors
///
/// Fails as [`read`] does.
pub fn parse(path: &Path, text: &str) -> Result<Annotations, Error> {
    let document =
        Document::parse(text).map_err(|source| Error::Xml { path: path.to_owned(), source })?;
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

    fn integer(self) -> Result<i64, Error> {
        self.value("an integer")
    }

    fn z_mm(self) -> Result<f64, Error> {
        let z = self.child("imageZposition")?;
        let z_mm: f64 = z.value("millimetres")?;
        if z_mm.is_finite() { Ok(z_mm) } else { Err(z.wrong("millimetres")) }
    }

    fn sop_instance_uid(self) -> String {
        let uid = self.children("imageSOP_UID").next();
        uid.map(|uid| uid.text().to_owned()).unwrap_or_default()
    }

    fn point(self) -> Result<[i64; 2], Error> {
        Ok([self.child("xCoord")?.integer()?, self.child("yCoord")?.integer()?])
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
                *value = Some(rating.integer()?).filter(|rating| *rating != 0);
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
        parse(Path::new("reads.xml"), text)
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
            ("-127.5", "inf", "line 19: imageZposition is `inf`, expected millimetres"),
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
}
