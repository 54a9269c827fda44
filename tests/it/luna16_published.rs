//! LUNA16's files as published, where its rule differs from what one would expect.

use crate::{annotations, fixture, python};
use serde_json::Value;

/// Three readers' squares of 3 × 3 pixels on two slices; the last one's line has a gap on the second, through which the flood
/// gets in. The spacing lies halfway between two numbers of six digits.
#[test]
fn gaps_stay_open_and_spacing_is_rounded_half_up() {
    let folder = tempfile::tempdir().unwrap();
    let [xml, table, store, ours, theirs, list] =
        ["xml", "geometry.csv", "store", "ours", "theirs", "list.txt"]
            .map(|n| folder.path().join(n));
    for made in [&xml, &theirs] {
        fs_err::create_dir_all(made).unwrap();
    }
    let traps = annotations::phantom().join("lidc-annotations/xml/traps");
    let text = fs_err::read_to_string(traps.join("three-sessions.xml")).unwrap();
    let (_, after) = text.split_once("<SeriesInstanceUid>").unwrap();
    let (series, _) = after.split_once('<').unwrap();
    let start = text.rfind("<xCoord>52</xCoord>\n        <yCoord>50</yCoord>").unwrap();
    let (before, after) = (text[..start].rfind("<edgeMap>").unwrap(), "</edgeMap>");
    let end = start + text[start..].find(after).unwrap() + after.len();
    fs_err::write(xml.join("a.xml"), [&text[..before], &text[end..]].concat()).unwrap();
    let head = "series_instance_uid,study_instance_uid,patient_id,slice_thickness_mm,pixel_spacing_mm,z_positions_mm";
    let row = format!("{series},,,2,0.6640625,-86 -88 -90 -92 -94 -96 -98 -100");
    let place = ["origin_x_mm,origin_y_mm,direction", "-170,-150,1 0 0 0 1 0 0 0 1"];
    fs_err::write(&table, format!("{head},{}\n{row},{}\n", place[0], place[1])).unwrap();
    fs_err::write(&list, series).unwrap();

    annotations::run_well(&store, &xml, &table, &[]);
    let [store, to] = [&store, &ours].map(|path| path.to_str().unwrap());
    let export = ["export", "luna16", "--store", store, "--out", to, "--as-published", "--json"];
    let record: Value = serde_json::from_str(&fixture::run_well(&export)).unwrap();
    assert_eq!(record["n_unplaced"], 0);
    let read = |file: &str| fs_err::read_to_string(ours.join(file)).unwrap();
    // Pixel 52 with a spacing of 0.664063; 9 voxels at -96 mm, 18 about -95 mm.
    let names = "seriesuid,coordX,coordY,coordZ,diameter_mm\n";
    let [nodule, last, middle] = [
        "-135.468724,-115.468724,-95.25,2.957403176",
        "-135.468724,-115.468724,-96,2.474937007",
        "-135.468724,-115.468724,-95.5,2.79658112",
    ]
    .map(|row| format!("{series},{row}\n"));
    assert_eq!(read("annotations.csv"), format!("{names}{nodule}"));
    assert_eq!(read("annotations_excluded.csv"), format!("{names}{middle}{last}"));

    let arguments = [&xml, &table, &list, &theirs].map(|path| path.to_str().unwrap());
    let Some(_) = python::script("../golden/luna16_published.py", &arguments) else { return };
    for file in ["annotations.csv", "annotations_excluded.csv"] {
        assert_eq!(fs_err::read_to_string(theirs.join(file)).unwrap(), read(file), "{file}");
    }
}
