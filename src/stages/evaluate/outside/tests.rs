//! Parquet files of masks, and rows made of them.

use super::*;
use crate::stages::crop::test_rows::roi;
use crate::stages::infer::ScanSlices;
use crate::tables::Roi;
use arrow::array::{ArrayRef, BinaryArray, Float32Array, RecordBatch, StringArray};
use nodulus_imaging::components::ComponentRule;
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

/// A slice's id, its mask, and its probability.
type GivenRow<'a> = (Option<&'a str>, Option<&'a [u8]>, Option<f32>);

fn write(path: &Path, rows: &[GivenRow<'_>]) {
    let ids: StringArray = rows.iter().map(|row| row.0).collect();
    let masks: BinaryArray = rows.iter().map(|row| row.1).collect();
    let probabilities: Float32Array = rows.iter().map(|row| row.2).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("nodule_probability", Arc::new(probabilities)),
        ("mask_bits", Arc::new(masks)),
        ("roi_id", Arc::new(ids)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs_err::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_row_is_read_by_its_slice_and_has_a_digest_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks.parquet");
    let rows: [GivenRow<'_>; 3] = [
        (Some("b"), Some(&[5]), Some(0.25)),
        (Some("a"), Some(&[5]), None),
        (Some("c"), Some(&[3]), Some(0.25)),
    ];
    write(&path, &rows);
    let mut table = MaskTable::open(&path).unwrap();
    let mut digest = |id: &str| table.find(id, [4, 2]).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|id| digest(id).unwrap());
    assert!(a != b && b != c && digest("d").is_none());
    let found = table.read(["c", "b"].into_iter()).unwrap();
    let given = |id: &str| (found[id].mask_bits.clone(), found[id].probability);
    assert_eq!(
        (found.len(), given("b"), given("c")),
        (2, (vec![5], Some(0.25)), (vec![3], Some(0.25)))
    );
    table.check_known().unwrap();
    // In another order, the rows have the same digests.
    let reversed: Vec<GivenRow<'_>> = rows.into_iter().rev().collect();
    write(&path, &reversed);
    let error = table.read(["c"].into_iter()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "masks.parquet` changed while it was read: run again when nothing writes to it"
        ),
        "{error}"
    );
    let mut table = MaskTable::open(&path).unwrap();
    assert_eq!(["a", "b"].map(|id| table.find(id, [8, 1]).unwrap()), [Some(a), Some(b)]);
    let error = table.check_known().unwrap_err().to_string();
    assert!(error.contains("1 of 3 slices are not in `rois`, the first is `c`"), "{error}");
    let error = table.find("c", [4, 4]).unwrap_err().to_string();
    assert!(
        error.contains("`mask_bits` of slice `c` has 1 bytes, expected 2 for 4 × 4 pixels"),
        "{error}"
    );
}

#[test]
fn rows_without_a_value_and_rows_that_come_twice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks.parquet");
    let good: GivenRow<'_> = (Some("a"), Some(&[1]), None);
    for (bad, expected) in [
        ((None, Some(&[1][..]), None), "row 2: `roi_id` is null, expected a value in every row"),
        ((Some("b"), None, None), "row 2: `mask_bits` is null"),
        (
            (Some("b"), Some(&[1][..]), Some(1.5)),
            "row 2: `nodule_probability` is `1.5`, expected a number from 0 to 1",
        ),
        ((Some("b"), Some(&[1][..]), Some(f32::NAN)), "row 2: `nodule_probability` is `NaN`"),
        (good, "has slice `a` twice, expected one mask of it"),
    ] {
        write(&path, &[good, bad]);
        let error = MaskTable::open(&path).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    write(&path, &[]);
    let error = MaskTable::open(&path).err().unwrap().to_string();
    assert!(error.contains("has no mask"), "{error}");
    let model = |path: &Path| {
        let predictions = vec![OutsidePredictions { model: "m".to_owned(), path: path.to_owned() }];
        open(&Config { predictions, ..Config::default() }).err().unwrap().to_string()
    };
    fs_err::write(&path, "roi_id,mask_bits").unwrap();
    assert!(model(&path).contains("is neither Parquet nor a folder"), "{}", model(&path));
    fs_err::write(&path, "PAR1 and no more").unwrap();
    assert!(model(&path).contains("as Parquet"), "{}", model(&path));
    let error = model(&folder.path().join("none"));
    assert!(error.contains("there is nothing at") && error.contains("the masks of `m`"), "{error}");
}

#[test]
fn a_file_without_the_columns_is_refused_with_those_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("masks.parquet");
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("roi_id", ids.clone()), ("mask", ids)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(fs_err::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let error = MaskTable::open(&path).err().unwrap().to_string();
    assert!(error.ends_with("has no column mask_bits; found roi_id, mask"), "{error}");
}

#[test]
fn a_given_mask_is_delivered_by_the_rule_of_components() {
    // Pixel 2 is the centre; pixel 4 belongs to it through the second slice, pixel 0 does not.
    let slice =
        |k: i64| Roi { slice_index: k, roi_id: format!("r{k}"), ..roi(&[0; 5], &[true; 5], &[0]) };
    let slices: Vec<(Roi, ())> = [0, 1, 2].map(|k| (slice(k), ())).into();
    let mask = |bits: u8| nodulus_formats::volume::Mask::from_bits([5, 1, 1], vec![bits]).unwrap();
    let given = vec![Some((mask(0b1_0101), Some(0.1))), Some((mask(0b0_1000), None)), None];
    let rows = |rule| {
        let scans = ScanSlices::default();
        predict::rows("m", &slices, given.clone(), (rule, 5.0), &scans).unwrap()
    };
    let centre = rows(ComponentRule::Centre);
    let bits: Vec<_> =
        centre.iter().map(|row| [row.mask_bits[0], row.other_rule_mask_bits[0]]).collect();
    assert_eq!(bits, [[0b1_0100, 0b1_0101], [0b0_1000, 0b0_1000]]);
    // A slice without a mask has no row; probabilities stay as they are given.
    assert_eq!(centre.iter().map(|row| &*row.roi_id).collect::<Vec<_>>(), ["r0", "r1"]);
    assert_eq!([centre[0].nodule_probability, centre[1].nodule_probability], [Some(0.1), None]);
    assert!(centre.iter().all(|row| row.component == "centre" && row.model_id == "m"));
    assert!(centre.iter().all(|row| row.doubts[0] == "unlisted_patients"));
    let all = rows(ComponentRule::All);
    assert_eq!((all[0].mask_bits[0], all[0].other_rule_mask_bits[0]), (0b1_0101, 0b1_0100));
}

#[test]
fn nodules_that_others_lack_or_have_more_are_told() {
    let of_shard = serde_json::json!({ "component": "centre", "reach_mm": 5.0, "models": [
        { "model_id": "m", "masks_sha256": "", "n_nodules": 3, "n_left_aside": 2, "n_missing": 1 },
        { "model_id": "n", "masks_sha256": "", "n_nodules": 4, "n_left_aside": 0, "n_missing": 0 },
    ]});
    let found = plan::of_record(&of_shard);
    let mut sum = found[0].clone();
    sum.add(&found[0]);
    let [more, fewer] = &sum.warnings("m")[..] else { panic!("{:?}", sum.warnings("m")) };
    assert!(more.starts_with("`m`: 4 of its 10 nodules are left aside"), "{more}");
    assert!(fewer.starts_with("`m`: it has no mask of 2 of the 8 nodules"), "{fewer}");
    assert!(
        found[1].warnings("n").is_empty() && plan::of_record(&serde_json::Value::Null).is_empty()
    );
}
