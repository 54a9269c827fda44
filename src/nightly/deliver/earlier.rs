//! The DICOM objects of earlier results of a series, which new ones replace.

use super::output::OutputKind;
use nodulus_formats::dicom::ObjectReference;
use std::collections::BTreeMap;

/// The DICOM objects of a result, by kind.
pub type ResultObjects = BTreeMap<OutputKind, ObjectReference>;

/// The DICOM objects of earlier results of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierObjects {
    /// The last object of each kind.
    last: ResultObjects,
    /// Objects that no rejection note rejects yet, oldest first.
    unrejected: Vec<ObjectReference>,
}

impl EarlierObjects {
    /// Of the objects of results, oldest first.
    ///
    /// METHOD: a result's rejection note rejects the objects of all results before it, so that those since the last
    /// note are left.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a ResultObjects>) -> Self {
        let mut earlier = Self::default();
        for objects in results {
            if objects.contains_key(&OutputKind::Rejection) {
                earlier.unrejected.clear();
            }
            let rejectable = objects.iter().filter(|(kind, _)| **kind != OutputKind::Rejection);
            earlier.unrejected.extend(rejectable.map(|(_, object)| object.clone()));
            earlier.last.extend(objects.clone());
        }
        earlier
    }

    /// Those of a study. An object of another study, to which the series belonged before, is neither replaced nor
    /// rejected: a note stands in the study of what it rejects.
    pub(super) fn within(&self, study_instance_uid: &str) -> Self {
        let is_within = |object: &ObjectReference| object.study_instance_uid == study_instance_uid;
        let (mut last, mut unrejected) = (self.last.clone(), self.unrejected.clone());
        last.retain(|_, object| is_within(object));
        unrejected.retain(|object| is_within(object));
        Self { last, unrejected }
    }

    /// The object of a kind that a new one replaces.
    pub(super) fn replaced(&self, kind: OutputKind) -> Option<&ObjectReference> {
        self.last.get(&kind)
    }

    /// The objects that a rejection note rejects.
    pub(super) fn unrejected(&self) -> &[ObjectReference] {
        &self.unrejected
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
            instance_number: 1,
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
        let within = earlier.within("1.4");
        assert_eq!(
            (names(&within), within.replaced(OutputKind::Seg)),
            (vec!["c".to_owned(), "d".to_owned()], None)
        );
    }
}
