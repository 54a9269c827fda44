//! Slices of several images of one body region, and slices of one image whose attributes vary.

use super::samples::slice_at;
use crate::dicom::Tolerances;
use crate::dicom::series::slice::SliceHeader;
use crate::dicom::series::stack::stack;

/// Numbers in no order.
const SHUFFLED: [usize; 24] =
    [5, 14, 22, 0, 9, 17, 3, 11, 20, 7, 1, 19, 12, 23, 6, 15, 2, 10, 21, 8, 16, 4, 13, 18];

/// Sets the value of an attribute of the n-th slice.
type Set<'a> = &'a dyn Fn(&mut SliceHeader, usize);

/// Slices of 1 mm.
fn slices(n_slices: usize, set: Set<'_>) -> Vec<SliceHeader> {
    let slice = |n: usize| {
        let mut slice = slice_at(n, [-10.0, 20.0, n as f64]);
        set(&mut slice, n);
        slice
    };
    (0..n_slices).map(slice).collect()
}

fn told<'a>(
    keyword: &'a str,
    of: &'a dyn Fn(usize) -> Option<String>,
) -> impl Fn(&mut SliceHeader, usize) + 'a {
    move |slice, n| slice.told_apart.set(keyword, of(n))
}

/// Why slices are refused; empty where they are read.
fn refusal(n_slices: usize, set: Set<'_>) -> String {
    let slices = slices(n_slices, set);
    stack(&slices, &Tolerances::default()).err().map(|error| error.to_string()).unwrap_or_default()
}

/// The values by which slices are refused, and the attribute.
fn refused(n_slices: usize, set: Set<'_>) -> String {
    let error = refusal(n_slices, set);
    let (_, rest) = error.split_once("images of one body region, which differ in ").unwrap();
    rest.split_once(": give").unwrap().0.to_owned()
}

#[test]
fn a_second_pass_through_the_body_shows_in_the_order_of_times_and_numbers() {
    // Two helical acquisitions, each slice with a time of its own, five minutes or five seconds apart; the second one
    // goes back.
    for (minutes, pause) in [(5, 0.0), (0, 15.0)] {
        let time = |n: usize| {
            let (pass, at) = (n % 2, n / 2);
            let at = if pass == 1 && minutes == 0 { 9 - at } else { at };
            Some(format!("12{:02}{:06.3}", minutes * pass, 10.0 + pause * pass as f64 + at as f64))
        };
        let found = refused(20, &told("AcquisitionTime", &time));
        assert!(found.starts_with("AcquisitionTime (120010.000 to 1200"), "{found}");
        let date_time = |n: usize| Some(format!("20260131{}", time(n)?));
        let found = refused(20, &told("AcquisitionDateTime", &date_time));
        assert!(found.contains(" slices, 20260131"), "{found}");
    }
    let numbers = |n: usize| Some((n / 2 + 1 + 100 * (n % 2)).to_string());
    let found = refused(20, &told("InstanceNumber", &numbers));
    assert_eq!(found, "InstanceNumber (1 to 10: 10 slices, 101 to 110: 10 slices)");
    // Each step of two sequential scans has its own number, or its own time for both slices of the step.
    let found = refused(20, &|slice, n| {
        slice.labels.acquisition_number = Some((n / 2 + 10 * (n % 2)) as i64);
    });
    assert_eq!(found, "AcquisitionNumber (0 to 9: 10 slices, 10 to 19: 10 slices)");
    let steps = |n: usize| Some(format!("12{:02}{:02}", 10 * (n % 2), 3 * (n / 4)));
    let found = refused(24, &told("AcquisitionTime", &steps));
    assert_eq!(found, "AcquisitionTime (120000 to 120015: 12 slices, 121000 to 121015: 12 slices)");
    // One slice has a number of another slice's place, or none.
    for odd in [None, Some("57".to_owned()), Some("0".to_owned()), Some("5".to_owned())] {
        let with_odd = |n: usize| if n == 7 { odd.clone() } else { numbers(n) };
        assert!(!refusal(24, &told("InstanceNumber", &with_odd)).is_empty(), "{odd:?}");
    }
    // Three passes.
    let three = |n: usize| Some(format!("12{:02}{:02}", n % 3, n / 3));
    assert_eq!(refused(18, &told("AcquisitionTime", &three)).matches("6 slices").count(), 3);

    // One pass in either direction, in steps, in several numberings, and numbers or times in no order.
    let plain: [&dyn Fn(usize) -> usize; 8] = [
        &|n| n,
        &|n| 50 - n,
        &|n| n / 4,
        &|n| n / 8 * 8 + (7 - n % 8),
        &|n| if n < 12 { n } else { 100 - n },
        &|n| SHUFFLED[n],
        &|n| n * n * 5 % 23,
        &|n| 1 + n % 2,
    ];
    for (at, number) in plain.into_iter().enumerate() {
        let text = |n: usize| Some(number(n).to_string());
        assert_eq!(refusal(24, &told("InstanceNumber", &text)), "", "{at}");
        let time = |n: usize| Some(format!("1200{:02}.5", number(n) % 60));
        assert_eq!(refusal(24, &told("ContentTime", &time)), "", "{at}");
        if at < 7 {
            assert_eq!(refusal(24, &told("AcquisitionTime", &time)), "", "{at}");
        }
    }
}

#[test]
fn times_are_apart_by_seconds_and_not_by_letters() {
    let two = |a: &'static str, b: &'static str| move |n: usize| Some([a, b][n % 2].to_owned());
    for (keyword, a, b, is_refused) in [
        ("AcquisitionTime", "120000", "121500", true),
        ("AcquisitionTime", "120000", "120000.00", false),
        ("AcquisitionTime", "120000.000", "120000.250", false),
        ("AcquisitionDateTime", "20200101120000", "20200101120000.000000", false),
        ("AcquisitionDateTime", "20200101120000", "20200102120000", true),
        ("AcquisitionDateTime", "20200101120000+0000", "20200101130000+0100", false),
        ("AcquisitionTime", "120000", "120001.5", true),
        ("ContentTime", "120000", "120200", true),
        ("ContentTime", "120000.1", "120030", false),
        ("StudyDate", "20200101", "2020.01.01", false),
        ("StudyDate", "20200101", "20210101", true),
        ("ScanOptions", "FS\\HELICAL", "HELICAL\\FS", false),
        ("StationName", "REC0", "REC1", false),
        ("SoftwareVersions", "a\\b", "b\\a", false),
        ("WindowCenter", "40\\-600", "-600\\40", false),
        ("DimensionIndexValues", "1\\1", "2\\1", true),
        ("CTDIvol", "5", "5.8", false),
        ("ExposureTime", "500", "560", false),
        ("Exposure", "4", "5", false),
        ("XRayTubeCurrent", "100", "300", true),
        ("StudyTime", "120000", "120000.00", false),
        ("TriggerTime", "0", "300", true),
        ("TriggerTime", "500", "503", false),
        ("TableHeight", "150", "150.0", false),
        ("TableHeight", "150.0", "150.1", false),
        ("TableHeight", "150", "151", false),
        ("TableHeight", "150", "170", true),
        ("XRayTubeCurrent", "199", "200", false),
        ("XRayTubeCurrent", "100", "200", true),
        ("XRayTubeCurrent", "100", "140", false),
        ("ScanOptions", "HELICAL MODE", "HELICAL_MODE", false),
        ("ProtocolName", "Thorax", "THORAX ", false),
    ] {
        let found = refusal(40, &told(keyword, &two(a, b)));
        assert_eq!(!found.is_empty(), is_refused, "{keyword} {a} {b}: {found}");
        // A few slices among many.
        let few = |n: usize| Some(if [3, 30].contains(&n) { a } else { b }.to_owned());
        assert_eq!(refusal(40, &told(keyword, &few)), "", "{keyword} {a} {b}");
    }
    // Six phases by their delay, and two with a delay for each beat.
    let six = |n: usize| Some((100 * (n % 6)).to_string());
    assert_eq!(refused(18, &told("TriggerTime", &six)).matches("3 slices").count(), 6);
    let beats = |n: usize| Some((n / 2 + 3000 * (n % 2)).to_string());
    assert!(!refusal(12, &told("TriggerTime", &beats)).is_empty());
    let one = |n: usize| Some((500 + n * 5 % 7).to_string());
    assert_eq!(refusal(24, &told("TriggerTime", &one)), "");
}

#[test]
fn values_on_a_few_slices_are_those_of_one_image() {
    let with_label = |slice: &mut SliceHeader, is_it: bool, plain: &str, other: &str| {
        slice.labels.contrast = is_it.then(|| "Omni".to_owned());
        slice.labels.image_type = Some(if is_it { other } else { plain }.to_owned());
    };
    let (plain, other) = ("ORIGINAL\\PRIMARY\\AXIAL", "ORIGINAL\\PRIMARY\\AXIAL\\KEY");
    for few in [&[0, 39][..], &[3, 30], &[3, 7, 11, 30], &[5, 7], &[5, 8], &[20, 21], &[17]] {
        let found = refusal(40, &|slice, n| with_label(slice, few.contains(&n), plain, other));
        assert_eq!(found, "", "{few:?}");
    }
    for (n_slices, step) in [(40, 2), (12, 2), (6, 2), (5, 2), (4, 2)] {
        let found = refused(n_slices, &|slice, n| {
            slice.labels.contrast = (n % step == 0).then(|| "Omni".to_owned());
        });
        assert!(
            found.starts_with("ContrastBolusAgent (none: ") || found.contains("Omni"),
            "{found}"
        );
    }
    // Rounding is no difference.
    for (a, b, is_refused) in [(1.0, 0.999_999_94, false), (1.0, 1.25, true)] {
        let found = refusal(40, &|slice, n| slice.thickness_mm = Some([a, b][n % 2]));
        assert_eq!(!found.is_empty(), is_refused, "{found}");
    }
}

#[test]
fn attributes_that_are_written_slice_by_slice_count_where_they_make_stacks() {
    let times = ["120000", "120200", "120400"];
    for keyword in ["ImageComments", "FrameLabel", "ContentTime", "SeriesTime", "WindowCenter"] {
        let is_read =
            |of: &dyn Fn(usize) -> Option<String>| refusal(24, &told(keyword, of)).is_empty();
        let found = refused(24, &told(keyword, &|n| Some(times[n % 3].to_owned())));
        assert!(found.contains("(120000: 8 slices, 120200: 8 slices, 120400: 8"), "{found}");
        assert!(!is_read(&|n| n.is_multiple_of(2).then(|| times[0].to_owned())), "{keyword}");
        // One slice has another value.
        assert!(!is_read(&|n| Some(if n == 7 { "130000" } else { times[n % 2] }.to_owned())));
        // In pairs, and two of three alike.
        assert!(!is_read(&|n| Some(times[n / 2 % 2].to_owned())), "{keyword}");
        assert!(!is_read(&|n| Some(times[n % 3 / 2].to_owned())), "{keyword}");
        // In two halves, in no order, one for each slice.
        assert!(is_read(&|n| Some(times[n / 12].to_owned())), "{keyword}");
        assert!(is_read(&|n| Some(times[n * n / 5 % 2].to_owned())), "{keyword}");
        assert!(is_read(&|n| Some(format!("12{n:02}00"))), "{keyword}");
    }
    // Two stacks at the same positions: copies, unless their voxels differ.
    let copies = |keyword: &str, of: &dyn Fn(usize) -> String| {
        let slice = |n: usize| {
            let mut slice = slice_at(n, [-10.0, 20.0, (n / 2) as f64]);
            slice.told_apart.set(keyword, Some(of(n)));
            slice
        };
        stack(&(0..24).map(slice).collect::<Vec<_>>(), &Tolerances::default()).is_ok()
    };
    for keyword in ["InstanceNumber", "ContentTime", "InstanceCreationTime", "ImageComments"] {
        assert!(copies(keyword, &|n| (120_000 + 3000 * (n % 2) + n / 2).to_string()), "{keyword}");
        assert!(copies(keyword, &|n| (120_000 + 3000 * (n % 2)).to_string()), "{keyword}");
    }
    for keyword in ["AcquisitionTime", "ProtocolName"] {
        assert!(!copies(keyword, &|n| (120_000 + 3000 * (n % 2)).to_string()), "{keyword}");
    }
    assert!(!copies("AcquisitionTime", &|n| (120_000 + 3000 * (n % 2) + n / 2).to_string()));
    // A current that follows the body, in whole numbers.
    for most in [3.0, 10.0, 250.0] {
        let current = |n: usize| {
            Some(format!(
                "{:.0}",
                most * (1.5 + (n as f64 / 6.0).sin() + 0.1 * (n as f64 * 12.9).sin())
            ))
        };
        assert_eq!(refusal(133, &told("Exposure", &current)), "", "{most}");
    }
}

#[test]
fn a_text_that_counts_slices_is_that_of_one_image_unless_its_words_recur() {
    let plain: [&dyn Fn(usize) -> String; 9] = [
        &|n| format!("slice {n}"),
        &|n| format!("Image {} of 24", n + 1),
        &|n| format!("{}/24", n + 1),
        &|n| format!("z={:.1} mm", -97.5 + 2.5 * n as f64),
        &|n| format!("12:{:02}:{:02}", n / 2, 30 * (n % 2)),
        &|n| format!("rotation {} row {}", n / 2, n % 2),
        &|n| format!("slice {}", SHUFFLED[n]),
        &|n| format!("Thorax {} {n}", if n < 12 { "upper" } else { "lower" }),
        &|n| format!("{}slice {n}", if n == 5 { "key " } else { "" }),
    ];
    let recurring: [&dyn Fn(usize) -> String; 5] = [
        &|n| format!("phase {} slice {}", n % 2, n / 2),
        &|n| format!("{}% slice {}", [30, 70][n % 2], n / 2),
        &|n| format!("{} % slice {n}", [30, 70][n % 2]),
        &|n| format!("slice {n} ({})", ["native", "venous", "late"][n % 3]),
        &|n| format!("{}slice {n}", ["", "venous "][n % 2]),
    ];
    for keyword in
        ["ImageComments", "FrameLabel", "ProtocolName", "PerformedProcedureStepDescription"]
    {
        for (at, text) in plain.into_iter().enumerate() {
            assert_eq!(refusal(24, &told(keyword, &|n| Some(text(n)))), "", "{keyword} {at}");
        }
        for (at, text) in recurring.into_iter().enumerate() {
            let found = refusal(24, &told(keyword, &|n| Some(text(n))));
            assert!(found.contains(keyword), "{keyword} {at}: {found}");
        }
    }
}

#[test]
fn two_parts_of_the_body_are_one_scan() {
    // The second half, the middle, and one slice beyond the border.
    let parts: [&dyn Fn(usize) -> bool; 4] =
        [&|n| n >= 12, &|n| (8..16).contains(&n), &|n| n >= 12 && n != 13 || n == 11, &|n| n == 0];
    for (at, part) in parts.into_iter().enumerate() {
        let found = refusal(24, &|slice, n| {
            let second = part(n);
            slice.labels.acquisition_number = Some(1 + i64::from(second));
            slice.kvp = Some(if second { 100.0 } else { 120.0 });
            slice.told_apart.set("ProtocolName", Some(if second { "A" } else { "B" }.to_owned()));
        });
        assert_eq!(found, "", "{at}");
    }
    // An overlap of two scans is none.
    let overlap =
        |n: usize| Some(if n < 10 || [10, 12, 14].contains(&n) { "A" } else { "B" }.to_owned());
    assert_eq!(
        refused(20, &told("ProtocolName", &overlap)),
        "ProtocolName (A: 13 slices, B: 7 slices)"
    );
}

#[test]
fn values_that_recur_in_one_order_are_those_of_several_images() {
    let a_or_b = |is_a: bool| Some(if is_a { "20200101" } else { "20210101" }.to_owned());
    for keyword in ["ProtocolName", "StackID", "AcquisitionTime", "StudyDate", "ImageComments"] {
        // Two of three or three of four phases have one value; one slice is odd; pairs and threes.
        let patterns: [(usize, &dyn Fn(usize) -> bool); 10] = [
            (8, &|n| n % 3 == 0),
            (10, &|n| n % 4 == 0),
            (18, &|n| n % 3 == 0),
            (24, &|n| n % 3 == 1),
            (24, &|n| n % 4 == 0),
            (40, &|n| n % 4 == 0),
            (60, &|n| n % 3 == 0 && n != 30),
            (20, &|n| n / 2 % 2 == 0),
            (20, &|n| n.div_ceil(2) % 2 == 0),
            (18, &|n| n / 3 % 2 == 0),
        ];
        for (at, (n_slices, is_a)) in patterns.into_iter().enumerate() {
            let found = refusal(n_slices, &told(keyword, &|n| a_or_b(is_a(n))));
            assert!(found.contains(keyword), "{keyword} {at}: {found}");
        }
        // On a few slices in no order, and a regular few of a part.
        for few in [&[0, 39][..], &[3, 30], &[3, 7, 11, 30], &[5, 7], &[5, 8], &[2, 5, 8]] {
            let found = refusal(40, &told(keyword, &|n| a_or_b(few.contains(&n))));
            assert_eq!(found, "", "{keyword} {few:?}");
        }
    }
    // Many phases of two slices each, and two phases in each step of a sequential scan.
    for keyword in ["StackID", "NominalPercentageOfCardiacPhase", "TriggerTime"] {
        for n_phases in [9, 10] {
            let phase = |n: usize| Some((10 * (n % n_phases)).to_string());
            let found = refusal(2 * n_phases, &told(keyword, &phase));
            assert!(found.contains(keyword), "{keyword} {n_phases}: {found}");
        }
    }
    let found = refused(20, &|slice, n| {
        slice.labels.acquisition_number = Some((n % 2 + 2 * (n / 4)) as i64);
    });
    assert!(found.starts_with("AcquisitionNumber (0: 2 slices, 1: 2 slices"), "{found}");
    // Two acquisitions that overlap in eight of 40 slices.
    let found = refused(40, &|slice, n| {
        slice.kernel = Some(if n < 8 && n % 2 == 0 { "B30f" } else { "B70f" }.to_owned());
    });
    assert_eq!(found, "ConvolutionKernel (B30f: 4 slices, B70f: 36 slices)");
}

#[test]
fn a_modulated_dose_is_that_of_one_image() {
    let currents: [(&str, &dyn Fn(usize) -> f64); 7] = [
        ("XRayTubeCurrentInmA", &|n| [100.0, 130.0, 260.0, 260.0, 130.0][n % 5]),
        ("XRayTubeCurrent", &|n| [100.0, 130.0][n % 2] + (n * 7 % 5) as f64),
        ("XRayTubeCurrent", &|n| [100.0, 140.0, 180.0][n % 3] + (n * 7 % 5) as f64),
        ("XRayTubeCurrentInmA", &|n| [90.0, 150.0][usize::from(n % 3 == 0)]),
        ("Exposure", &|n| [1.0, 2.0][n % 2]),
        ("ExposureInmAs", &|n| [20.0, 26.0][n / 2 % 2]),
        ("CTDIvol", &|n| [5.0, 6.5][n % 2]),
    ];
    for (keyword, value) in currents {
        let found = refusal(24, &told(keyword, &|n| Some(format!("{:.1}", value(n)))));
        assert_eq!(found, "", "{keyword}");
    }
    let pairs = |n: usize| Some([100, 300][n / 2 % 2].to_string());
    assert!(!refusal(24, &told("XRayTubeCurrent", &pairs)).is_empty());
    // Of an attribute of the program that wrote a slice, one without it may be of any image.
    for keyword in
        ["StationName", "DeviceSerialNumber", "SoftwareVersions", "DerivationDescription"]
    {
        let text = |n: usize| n.is_multiple_of(2).then(|| "A".to_owned());
        assert_eq!(refusal(24, &told(keyword, &text)), "", "{keyword}");
        let two = |n: usize| Some(["A", "B"][n % 2].to_owned());
        assert!(refusal(24, &told(keyword, &two)).contains(keyword), "{keyword}");
    }
    for (a, b, is_refused) in
        [("CHEST", "THORAX", false), ("Chest", "LUNG", false), ("CHEST", "HEAD", true)]
    {
        let found =
            refusal(24, &|slice, n| slice.labels.body_part = Some([a, b][n % 2].to_owned()));
        assert_eq!(!found.is_empty(), is_refused, "{a} {b}");
    }
    for (a, b, is_refused) in [
        ("GE MEDICAL SYSTEMS", "GE Medical Systems, Inc.", false),
        ("SIEMENS", "Siemens Healthineers", false),
        ("SIEMENS", "Philips", true),
    ] {
        let found = refusal(24, &|slice, n| slice.manufacturer = Some([a, b][n % 2].to_owned()));
        assert_eq!(!found.is_empty(), is_refused, "{a} {b}");
    }
}

#[test]
fn frames_of_two_files_that_interleave_are_two_images() {
    let file = |of: &'static dyn Fn(usize) -> usize| {
        refusal(18, &|slice, n| {
            slice.location.number = Some(n / 2 + 1);
            slice.sop_instance_uid = format!("1.2.{}", of(n));
        })
    };
    assert!(file(&|n| n % 2).contains("SOPInstanceUID (1.2.0: 9 slices, 1.2.1: 9 slices)"));
    assert_eq!(file(&|n| n / 9), "");
    // Single slices have a UID each.
    assert_eq!(refusal(18, &|slice, n| slice.sop_instance_uid = format!("1.2.{}", n % 2)), "");
}
