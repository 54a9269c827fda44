//! Reading LIDC's XML.

use super::read::{MOST_BYTES, parse};
use super::*;
use fs_err::File;
use std::path::Path;

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
        ("-127.5", "inf", "line 19: imageZposition is `inf`, expected -1000000 to 1000000 mm"),
        ("-127.5", "1e7", "line 19: imageZposition is `1e7`, expected -1000000 to 1000000 mm"),
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
