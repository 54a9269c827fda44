//! Patterns in which the values of several images recur along the body.

use super::acquisitions::{interleave, with_partner};
use super::classes::Class;

/// Fewest times that values recur in one order.
const LEAST_PERIODS: usize = 3;

/// METHOD: most slices after which values recur. Longer blocks are parts of the body.
const MOST_PERIOD: usize = 12;

/// METHOD: of a long period, a value on three slices alone may lie evenly by chance.
const SHORT_PERIOD: usize = 4;

/// METHOD: one neighbour in ten, a period away, may have another value.
const ODD_NEIGHBOURS: usize = 10;

/// METHOD: the classes hold nine slices in ten.
const LEAST_TENTHS: usize = 9;

/// METHOD: share of their median length by which stacks of one kind may differ.
const UNLIKE: f64 = 0.1;

/// METHOD: share of their length that stacks of one kind have in common: nearly half of it in steps of two slices each.
/// Two parts of the body overlap at their border.
const LEAST_SHARED: f64 = 0.45;

/// The classes whose slices recur in one order through the body: `ABBABB`, `AABBAABB`. Empty where they do not.
pub(super) fn periodic(classes: &[Class], n_slices: usize) -> Vec<&Class> {
    if !(2..=MOST_PERIOD).contains(&classes.len()) {
        return Vec::new();
    }
    let mut labels = vec![usize::MAX; n_slices];
    for (label, class) in classes.iter().enumerate() {
        for at in &class.slices {
            if let Some(own) = labels.get_mut(*at) {
                *own = label;
            }
        }
    }
    let n_changes = labels.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let longest = MOST_PERIOD.min(n_slices.div_ceil(LEAST_PERIODS));
    // A period has two changes at least; two halves of the body have one.
    let mixed = (2..=longest).filter(|period| 5 * n_changes * period >= 8 * n_slices);
    let found = mixed.map(|period| recurring(classes, &labels, period));
    found.into_iter().find(|images| images.len() > 1).unwrap_or_default()
}

/// The classes whose slices recur after this number of slices, if they hold nearly all.
fn recurring<'c>(classes: &'c [Class], labels: &[usize], period: usize) -> Vec<&'c Class> {
    let mut counts = vec![(0, 0); classes.len()];
    for (a, b) in labels.iter().zip(labels.get(period..).unwrap_or_default()) {
        for label in [a, b] {
            if let Some((n_checked, n_odd)) = counts.get_mut(*label) {
                *n_checked += 1;
                *n_odd += usize::from(a != b);
            }
        }
    }
    let least = LEAST_PERIODS + usize::from(period > SHORT_PERIOD);
    let recurs = |(class, (n_checked, n_odd)): &(&Class, (usize, usize))| {
        class.n_slices() >= least && ODD_NEIGHBOURS * n_odd <= *n_checked
    };
    let images = classes.iter().zip(counts).filter(recurs).map(|(class, _)| class);
    let images: Vec<&Class> = images.collect();
    let n_held: usize = images.iter().map(|class| class.n_slices()).sum();
    if 10 * n_held >= LEAST_TENTHS * labels.len() { images } else { Vec::new() }
}

/// A class of three slices or more that alternates with slices of one other class, and that one.
///
/// METHOD: two acquisitions that overlap in a small part of the body alternate there, slice by slice. A few slices with
/// an odd label do not.
pub(super) fn alternating(classes: &[Class]) -> Vec<&Class> {
    let other_at =
        |at: usize| classes.iter().position(|class| class.slices.binary_search(&at).is_ok());
    for class in classes.iter().filter(|class| class.n_slices() >= LEAST_PERIODS) {
        if !class.slices.windows(2).all(|pair| pair[1] - pair[0] == 2) {
            continue;
        }
        let mut between = class.slices.windows(2).map(|pair| other_at(pair[0] + 1));
        let first = between.next().flatten();
        if let Some(other) = first.filter(|_| between.all(|other| other == first)) {
            let partner = &classes[other];
            let is_first = class.slices.first() < partner.slices.first();
            return if is_first { vec![class, partner] } else { vec![partner, class] };
        }
    }
    Vec::new()
}

/// Classes of two slices or more that are alike in number and length and interleave, if they hold nearly all slices:
/// many phases of a few slices, or the phases of each step.
pub(super) fn alike(classes: &[Class], n_slices: usize) -> Vec<&Class> {
    let length = |class: &Class| class.greatest() - class.least();
    let mut lengths: Vec<f64> =
        classes.iter().filter(|class| class.n_slices() > 1).map(length).collect();
    lengths.sort_by(f64::total_cmp);
    let Some(median) = lengths.get(lengths.len() / 2).copied() else { return Vec::new() };
    let is_alike =
        |class: &&Class| class.n_slices() > 1 && (length(class) - median).abs() <= UNLIKE * median;
    let are_together = |a: &Class, b: &Class| {
        let shared = a.greatest().min(b.greatest()) - a.least().max(b.least());
        shared >= LEAST_SHARED * median && interleave(a, b, 1)
    };
    let images = with_partner(classes.iter().filter(is_alike).collect(), are_together);
    let n_held: usize = images.iter().map(|class| class.n_slices()).sum();
    if images.len() > 1 && 10 * n_held >= LEAST_TENTHS * n_slices { images } else { Vec::new() }
}
