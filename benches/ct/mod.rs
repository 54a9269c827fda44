//! The header of synthetic CT.

use nodulus_formats::dicom::{NewSeries, Numbering};

/// A series without a patient, whose slices have these UIDs.
pub(crate) fn series(sop_instance_uids: &[String]) -> NewSeries<'_> {
    NewSeries {
        series_instance_uid: "2.25.10",
        study_instance_uid: "2.25.11",
        frame_of_reference_uid: "2.25.12",
        sop_instance_uids,
        patient_id: "bench",
        patient_name: "",
        patient_birth_date: None,
        study_date: None,
        slice_thickness_mm: 1.0,
        manufacturer: "nodulus",
        model: "bench",
        kernel: "STANDARD",
        kvp: 120.0,
        tube_current: 200,
        rescale_slope: 1.0,
        rescale_intercept: -1024.0,
        numbering: Numbering::AlongK,
    }
}
