//! The DICOM objects of earlier results of a series, which new ones replace.

use super::output::OutputKind;
use nodulus_formats::dicom::ObjectReference;
use std::collections::BTreeMap;

/// The DICOM objects of a result, by kind.
pub type ResultObjects = BTreeMap<OutputKind, ObjectReference>;

/// The DICOM objects of earlier results of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierObjects {
    /// Those that were written together, oldest first.
    written: Vec<ResultObjects>,
}

impl EarlierObjects {
    /// Of the objects that were written together, in the order in which they were written.
    pub fn of<'a>(written: impl IntoIterator<Item = &'a ResultObjects>) -> Self {
        Self { written: written.into_iter().cloned().collect() }
    }

    /// Those of a study. An object of another study, to which the series belonged before, is neither replaced nor
    /// rejected: a note stands in the study of what it rejects.
    pub(super) fn within(&self, study_instance_uid: &str) -> Self {
        let mut within = self.clone();
        for objects in &mut within.written {
            objects.retain(|_, object| object.study_instance_uid == study_instance_uid);
        }
        within
    }

    /// The object of a kind that a new one replaces: the last one.
    pub(super) fn replaced(&self, kind: OutputKind) -> Option<&ObjectReference> {
        self.of_kind(kind).last()
    }

    /// `InstanceNumber` of a new object of a kind: one more than that of any before it, so that no number comes twice.
    pub(super) fn next_number(&self, kind: OutputKind) -> u32 {
        let last = self.of_kind(kind).map(|object| object.instance_number).max();
        last.unwrap_or_default().saturating_add(1)
    }

    fn of_kind(&self, kind: OutputKind) -> impl Iterator<Item = &ObjectReference> {
        self.written.iter().filter_map(move |objects| objects.get(&kind))
    }

    /// The objects that a rejection note rejects, oldest first.
    ///
    /// METHOD: a note rejects all objects that were written before those beside it, so that those since the last note are
    /// left.
    pub(super) fn unrejected(&self) -> Vec<ObjectReference> {
        let mut unrejected = Vec::new();
        for objects in &self.written {
            if objects.contains_key(&OutputKind::Rejection) {
                unrejected.clear();
            }
            let rejectable = objects.iter().filter(|(kind, _)| **kind != OutputKind::Rejection);
            unrejected.extend(rejectable.map(|(_, object)| object.clone()));
        }
        unrejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectReference {
        ObjectReference {
            sop_class_uid: "1.2".to_owned(),
            sop_instance_uid: name.to_owned(),
            series_instance_uid: "1.3".to_owned(),
            study_instance_uid: if name.starts_with('x') { "1.5" } else { "1.4" }.to_owned(),
            instance_number: name.len() as u32,
        }
    }

    #[test]
    fn a_note_rejects_what_no_note_before_it_rejects() {
        let result = |names: &[(OutputKind, &str)]| -> ResultObjects {
            names.iter().map(|(kind, name)| (*kind, object(name))).collect()
        };
        let results = [
            result(&[(OutputKind::Seg, "a"), (OutputKind::Rtstruct, "b")]),
            result(&[(OutputKind::Seg, "c"), (OutputKind::Rejection, "n")]),
            result(&[(OutputKind::Sr, "d"), (OutputKind::Seg, "x")]),
        ];
        let names = |earlier: &EarlierObjects| -> Vec<String> {
            earlier.unrejected().iter().map(|object| object.sop_instance_uid.clone()).collect()
        };
        assert_eq!(names(&EarlierObjects::of(&results[..1])), ["a", "b"]);
        assert_eq!(names(&EarlierObjects::of(&results[..2])), ["c"]);
        let earlier = EarlierObjects::of(&results);
        assert_eq!(names(&earlier), ["c", "x", "d"]);
        assert_eq!(earlier.replaced(OutputKind::Rtstruct), Some(&object("b")));
        assert_eq!(earlier.replaced(OutputKind::Seg), Some(&object("x")));
        assert_eq!(
            (earlier.next_number(OutputKind::Seg), earlier.next_number(OutputKind::Sc)),
            (2, 1)
        );
        // The highest number counts, not the last.
        let many = [result(&[(OutputKind::Seg, "abcde")]), result(&[(OutputKind::Seg, "ab")])];
        assert_eq!(EarlierObjects::of(&many).next_number(OutputKind::Seg), 6);
        let within = earlier.within("1.4");
        assert_eq!(
            (names(&within), within.replaced(OutputKind::Seg)),
            (vec!["c".to_owned(), "d".to_owned()], Some(&object("c")))
        );
    }
}
