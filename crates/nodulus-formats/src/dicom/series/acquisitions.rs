//! Tells whether a series holds several acquisitions or reconstructions of one body region.

use super::classes::{Class, Place, Reading, Value, classes as classes_by};
use super::copies::check_copies;
use super::counted_texts::{MOST_WORDS, naming_word};
use super::recurring::{alike, alternating, periodic};
use super::slice::SliceHeader;
use super::stack::SAME_POSITION_MM;
use super::telling::{LABELS, Rule, TOLD, Telling};
use crate::dicom::error::Error;

/// Fewest slices of a stack.
const LEAST_OF_STACK: usize = 3;

/// Most values of an attribute of which any two are those of two images.
const FEW: usize = 4;

/// Greatest deviation of a gap of a stack, as a share of its median gap.
const UNEVEN: f64 = 0.1;

/// METHOD: the median gap of a stack over the mean gap of the series. Stacks that interleave have gaps twice as wide or
/// wider; a value on slices in no order is on neighbours too.
const LEAST_GAP: f64 = 1.5;

/// METHOD: one gap in three, of a stack of five slices or more, may be uneven, as a slice with an odd value leaves a hole
/// in one stack or divides a gap of the other.
const ODD_GAPS: usize = 3;

/// METHOD: least share of the slices that stacks hold together. Of many values some have three evenly spaced slices by
/// chance.
const LEAST_SHARE: f64 = 0.8;

/// METHOD: a value on fewer than an eighth of the slices is that of no image, unless all values have stacks of their own.
const MOST_IMAGES: usize = 8;

/// Most numbers of a vector that tell for themselves.
const MOST_COMPONENTS: usize = 6;

/// METHOD: with fewer slices, one slice of each image among those of the other is enough.
const VERY_FEW_SLICES: usize = 6;

/// Refuses slices of several acquisitions, phases or reconstructions that cover the same part of the body.
///
/// METHOD: values that differ from one end of the body to the other are usual, as each step of a sequential scan is an
/// acquisition. A few slices with another value among many fill holes of a scan that without them would have none. Two
/// images interleave: where both are, neither has many more slices than the other ([`interleave`]); or their slices recur
/// in one order through the whole body, as `ABBABB` where two of three phases have a value in common; or alternate in a
/// part of it. Attributes that some programs write slice by slice must divide the series into stacks, each evenly spaced,
/// or recur in one order. Of numbers and times that ascend or descend through the body, a second pass shows in their
/// order, whatever the single values.
///
/// dcm2niix splits a series where the exposure, the protocol's name or the study's time differs, and so plain scans whose
/// exposure varies; it stacks several acquisitions, as other readers do.
pub(crate) fn check_single(slices: &[SliceHeader], heights: &[f64]) -> Result<(), Error> {
    let mut order: Vec<usize> = (0..slices.len()).collect();
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let placed = Placed {
        slices: order.iter().map(|at| &slices[*at]).collect(),
        heights: order.iter().map(|at| heights[*at]).collect(),
    };
    for (telling, value) in LABELS {
        placed.check(telling, value)?;
    }
    for (at, (_, telling)) in TOLD.into_iter().enumerate() {
        if telling.is_vector {
            for n in 0..MOST_COMPONENTS {
                placed.check(telling, |slice| slice.told_apart.component(at, n))?;
            }
        } else {
            placed.check(telling, |slice| slice.told_apart.value(at))?;
        }
    }
    // What whole images differ in says more than two slices.
    if placed.has_one_position_twice() {
        for (telling, value) in LABELS {
            check_copies(&placed, telling, value)?;
        }
        for (at, (_, telling)) in TOLD.into_iter().enumerate() {
            check_copies(&placed, telling, |slice| slice.told_apart.value(at))?;
        }
    }
    Ok(())
}

/// Slices in the order of their heights along the normal.
pub(super) struct Placed<'a> {
    pub(super) slices: Vec<&'a SliceHeader>,
    pub(super) heights: Vec<f64>,
}

impl<'a> Placed<'a> {
    fn check(
        &self,
        telling: Telling,
        value: impl Fn(&'a SliceHeader) -> Value<'a>,
    ) -> Result<(), Error> {
        // The usual case, without a copy of each value.
        if self.slices.windows(2).all(|pair| value(pair[0]) == value(pair[1])) {
            return Ok(());
        }
        let values = || {
            let places = self.heights.iter().enumerate().map(|(at, mm)| Place { at, mm: *mm });
            self.slices.iter().map(|slice| value(slice)).zip(places)
        };
        let reading = telling.reading.of_all(values().map(|(value, _)| value));
        let telling = Telling { reading, ..telling };
        let passes = if telling.is_order { passes(telling, values()) } else { Vec::new() };
        let mut images = self.stacks(telling.rule, &passes);
        let mut classes = classes_by(reading, values());
        classes.retain(|class| !(telling.may_lack && class.is_missing));
        if images.is_empty() {
            let is_any = match telling.rule {
                Rule::Any => true,
                Rule::AnyOfFew => classes.iter().map(|class| class.n_values).sum::<usize>() <= FEW,
                Rule::Stacks | Rule::Dose | Rule::Order | Rule::Copies => false,
            };
            if is_any && classes.len() > 1 && self.are_at_one_position() {
                return Err(Error::OnePosition { n_slices: self.slices.len() });
            }
            images = self.images(telling.rule, is_any, &classes);
        }
        let far_apart;
        if images.is_empty() && telling.rule == Rule::Dose && !self.has_one_position_twice() {
            far_apart = classes_by(reading.far_apart(), values());
            images = periodic(&far_apart, self.slices.len());
        }
        let of_words;
        if images.is_empty() && is_counted(reading, &classes, self.slices.len()) {
            of_words = self.classes_of_words(&value);
            let found = of_words.iter().map(|classes| self.images(Rule::Stacks, false, classes));
            images = found.into_iter().find(|images| !images.is_empty()).unwrap_or_default();
        }
        if images.is_empty() {
            return Ok(());
        }
        let groups = images.into_iter().map(|image| (image.label.clone(), image.n_slices()));
        Err(Error::SeveralImages { attribute: telling.keyword, groups: groups.collect() })
    }

    /// The slices by each word of a text that can name an image.
    fn classes_of_words(&self, value: impl Fn(&'a SliceHeader) -> Value<'a>) -> Vec<Vec<Class>> {
        let places = || self.heights.iter().enumerate().map(|(at, mm)| Place { at, mm: *mm });
        let word = |slice: &'a SliceHeader, n| match value(slice) {
            Value::Text(text) => naming_word(text, n),
            other => other,
        };
        let by_word = |n| {
            let words = self.slices.iter().map(|slice| word(slice, n));
            classes_by(Reading::Text, words.zip(places()))
        };
        (0..MOST_WORDS).map(by_word).filter(|classes| classes.len() > 1).collect()
    }

    /// The classes that are images. `is_any` says that any two values that interleave are those of two.
    fn images<'c>(&self, rule: Rule, is_any: bool, classes: &'c [Class]) -> Vec<&'c Class> {
        let n_slices = self.slices.len();
        let rules: &[&dyn Fn() -> Vec<&'c Class>] = match rule {
            Rule::Order | Rule::Copies => &[],
            Rule::Dose => &[&|| self.stacks(rule, classes)],
            Rule::Stacks if self.has_one_position_twice() => &[&|| self.stacks(rule, classes)],
            Rule::Stacks => &[&|| self.stacks(rule, classes), &|| periodic(classes, n_slices)],
            Rule::Any | Rule::AnyOfFew if is_any => &[
                &|| interleaved(classes, n_slices),
                &|| self.stacks(rule, classes),
                &|| periodic(classes, n_slices),
                &|| alternating(classes),
                &|| alike(classes, n_slices),
            ],
            Rule::Any | Rule::AnyOfFew => {
                &[&|| self.stacks(rule, classes), &|| alike(classes, n_slices)]
            }
        };
        rules.iter().map(|images| images()).find(|images| !images.is_empty()).unwrap_or_default()
    }

    /// Whether slices lie at one position, of which some may be copies.
    fn has_one_position_twice(&self) -> bool {
        self.heights.windows(2).any(|pair| pair[1] - pair[0] < SAME_POSITION_MM)
    }

    fn are_at_one_position(&self) -> bool {
        self.length_mm() < SAME_POSITION_MM
    }

    /// The distance of the first and the last slice.
    fn length_mm(&self) -> f64 {
        let ends = self.heights.first().zip(self.heights.last());
        ends.map_or(0.0, |(first, last)| last - first)
    }

    /// The classes that are stacks of their own and interleave, if stacks hold nearly all slices.
    ///
    /// METHOD: two stacks at the same positions may be copies of each other, which programs write with numbers, times and
    /// comments of their own. Their voxels tell, so that only the other attributes count.
    fn stacks<'c>(&self, rule: Rule, classes: &'c [Class]) -> Vec<&'c Class> {
        let n_slices = self.slices.len() as f64;
        let gaps = self.heights.windows(2).map(|pair| pair[1] - pair[0]);
        let n_gaps = match rule {
            Rule::Any | Rule::AnyOfFew => self.slices.len(),
            Rule::Stacks | Rule::Dose | Rule::Order | Rule::Copies => {
                gaps.filter(|mm| *mm >= SAME_POSITION_MM).count()
            }
        };
        let mean_gap = self.length_mm() / n_gaps.max(1) as f64;
        let least_gap = (LEAST_GAP * mean_gap).max(SAME_POSITION_MM);
        let even = classes.iter().filter(|class| is_even(&class.heights, least_gap));
        let even: Vec<&Class> = even.collect();
        let n_even: usize = even.iter().map(|class| class.n_slices()).sum();
        if even.len() < 2 || (n_even as f64) < LEAST_SHARE * n_slices {
            return Vec::new();
        }
        with_partner(even, |a, b| interleave(a, b, 2))
    }
}

/// Whether a text differs from slice to slice, as one with a number of the slice does.
fn is_counted(reading: Reading, classes: &[Class], n_slices: usize) -> bool {
    matches!(reading, Reading::Text) && 2 * classes.len() > n_slices
}

/// The classes, without small ones, that interleave with another one.
fn interleaved(classes: &[Class], n_slices: usize) -> Vec<&Class> {
    let least = n_slices.div_ceil(MOST_IMAGES).max(2);
    let large = classes.iter().filter(|class| class.n_slices() >= least);
    let least_among = if n_slices < VERY_FEW_SLICES { 1 } else { 2 };
    with_partner(large.collect(), |a, b| interleave(a, b, least_among))
}

/// The classes that interleave with another one, in their order.
pub(super) fn with_partner(
    classes: Vec<&Class>,
    interleave: impl Fn(&Class, &Class) -> bool,
) -> Vec<&Class> {
    let mut by_height: Vec<usize> = (0..classes.len()).collect();
    by_height.sort_by(|a, b| classes[*a].least().total_cmp(&classes[*b].least()));
    let mut is_mixed = vec![false; classes.len()];
    for (n, at) in by_height.iter().enumerate() {
        let greatest = classes[*at].greatest();
        let above = by_height[n + 1..].iter().take_while(|b| classes[**b].least() <= greatest);
        for other in above.filter(|other| interleave(classes[*at], classes[**other])) {
            (is_mixed[*at], is_mixed[*other]) = (true, true);
        }
    }
    classes.into_iter().zip(is_mixed).filter_map(|(class, mixed)| mixed.then_some(class)).collect()
}

/// Whether two classes share a part of the body, and neither has many more slices there than the other.
///
/// METHOD: up to 1.5 times as many. Of two images with even gaps that interleave, both have about as many; a label on two
/// slices of 40 has two among 28.
pub(super) fn interleave(a: &Class, b: &Class, least: usize) -> bool {
    let (from, to) = (a.least().max(b.least()), a.greatest().min(b.greatest()));
    let (n, m) = (a.n_within(from, to), b.n_within(from, to));
    let (fewer, more) = (n.min(m), n.max(m));
    fewer >= least && 2 * more <= 3 * fewer + 1
}

/// Whether ascending heights are those of a whole stack whose median gap is `least_gap` or more.
fn is_even(heights: &[f64], least_gap: f64) -> bool {
    let mut gaps: Vec<f64> = heights.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let Some(median) = gaps.get(gaps.len() / 2).filter(|mm| **mm >= least_gap) else {
        return false;
    };
    let n_uneven = gaps.iter().filter(|gap| (**gap - median).abs() > UNEVEN * median).count();
    let most = if heights.len() > LEAST_OF_STACK + 1 { gaps.len() / ODD_GAPS } else { 0 };
    heights.len() >= LEAST_OF_STACK && n_uneven <= most
}

/// Slices with one rank in the order: that rank, their values and their places along the normal.
type Step<'s, 'a> = &'s [(f64, Value<'a>, Place)];

/// The passes through the body that slices make in the order of a number or time; none if there is only one.
fn passes<'a>(telling: Telling, slices: impl Iterator<Item = (Value<'a>, Place)>) -> Vec<Class> {
    let ranked =
        slices.filter_map(|(value, place)| Some((telling.reading.place(value)?, value, place)));
    let mut ranked: Vec<(f64, Value<'a>, Place)> = ranked.collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.mm.total_cmp(&b.2.mm)));
    // Slices with one value were acquired at once, and have no order among them.
    let mut passes: Vec<Vec<Step<'_, 'a>>> = Vec::new();
    let mean =
        |step: Step<'_, '_>| step.iter().map(|(.., at)| at.mm).sum::<f64>() / step.len() as f64;
    for step in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let goes_on = passes.last().is_some_and(|pass| match pass[..] {
            [.., before, last] => (mean(last) > mean(before)) == (mean(step) > mean(last)),
            _ => true,
        });
        match passes.last_mut().filter(|_| goes_on) {
            Some(pass) => pass.push(step),
            None => passes.push(vec![step]),
        }
    }
    if passes.len() < 2 {
        return Vec::new();
    }
    let class = |pass: Vec<Step<'_, 'a>>| {
        let slices: Vec<_> = pass.iter().flat_map(|step| step.iter()).collect();
        let places = slices.iter().map(|(.., place)| *place).collect();
        Class::of(slices[0].1, slices[slices.len() - 1].1, pass.len(), places)
    };
    passes.into_iter().map(class).collect()
}
