//! An output cut into the places that tasks write to.

/// What becomes of a convolution's sums on their way to the output.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// What is added to them.
    pub(crate) addend: Addend<'a>,
    /// Whether negative sums become 0.
    pub(crate) rectified: bool,
}

/// What is added to a convolution's sums, beside a number for each filter.
#[derive(Clone, Copy)]
pub(crate) enum Addend<'a> {
    /// Nothing.
    None,
    /// What the output holds.
    Output,
    /// Another tensor, as the output.
    Other(&'a [f32]),
}

/// A run of pixels of one filter's plane of one image.
pub(super) struct Place<'a> {
    /// Filter of the output.
    pub(super) filter: usize,
    /// First pixel among those of all images.
    pub(super) pixel: usize,
    values: &'a mut [f32],
    addend: Option<&'a [f32]>,
}

impl Place<'_> {
    /// Pixels.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Writes sums from pixel `start` of the place on.
    #[inline(always)]
    pub(super) fn write(&mut self, start: usize, sums: &[f32], shift: f32, finish: Finish) {
        let lowest = if finish.rectified { 0.0 } else { f32::NEG_INFINITY };
        let to = &mut self.values[start..start + sums.len()];
        match (self.addend, finish.addend) {
            (Some(addend), _) => {
                for ((to, sum), addend) in to.iter_mut().zip(sums).zip(&addend[start..]) {
                    *to = (sum + shift + addend).max(lowest);
                }
            }
            (None, Addend::Output) => {
                for (to, sum) in to.iter_mut().zip(sums) {
                    *to = (sum + shift + *to).max(lowest);
                }
            }
            (None, _) => {
                for (to, sum) in to.iter_mut().zip(sums) {
                    *to = (sum + shift).max(lowest);
                }
            }
        }
    }
}

/// What a task works out: some filters at some pixels.
pub(super) struct Unit<'a> {
    /// First pixel among those of all images.
    pub(super) pixel: usize,
    /// Pixels.
    pub(super) pixels: usize,
    /// First filter.
    pub(super) filter: usize,
    /// Filters.
    pub(super) filters: usize,
    /// In the order of filters, then of pixels.
    pub(super) places: Vec<Place<'a>>,
}

/// Cuts an output of planes of `n` pixels into units of at most so many pixels and filters.
pub(super) fn units<'a>(
    y: &'a mut [f32],
    [filters, n]: [usize; 2],
    [pixels, filters_each]: [usize; 2],
    addend: Addend<'a>,
) -> Vec<Unit<'a>> {
    let images = y.len() / (filters * n);
    let groups = filters.div_ceil(filters_each);
    let mut units: Vec<Unit> = (0..(images * n).div_ceil(pixels) * groups)
        .map(|i| {
            let (pixel, filter) = (i / groups * pixels, i % groups * filters_each);
            let places = Vec::with_capacity(filters_each);
            Unit {
                pixel,
                pixels: pixels.min(images * n - pixel),
                filter,
                filters: filters_each.min(filters - filter),
                places,
            }
        })
        .collect();
    for (i, plane) in y.chunks_exact_mut(n).enumerate() {
        let (image, filter) = (i / filters, i % filters);
        let mut addend = match addend {
            Addend::Other(values) => Some(&values[i * n..(i + 1) * n]),
            Addend::None | Addend::Output => None,
        };
        let (mut rest, mut pixel) = (plane, image * n);
        while !rest.is_empty() {
            let group = pixel / pixels;
            let len = ((group + 1) * pixels - pixel).min(rest.len());
            let (values, others) = rest.split_at_mut(len);
            let (own, other_addend) = addend.map(|a| a.split_at(len)).unzip();
            let place = Place { filter, pixel, values, addend: own };
            units[group * groups + filter / filters_each].places.push(place);
            (rest, addend) = (others, other_addend);
            pixel += len;
        }
    }
    for unit in &mut units {
        unit.places.sort_by_key(|place| place.filter);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers are exact")]
    fn units_cover_every_pixel_of_every_filter_once() {
        // 2 images of 3 filters of 5 pixels; units of 4 pixels and 2 filters.
        let mut y = vec![0.0; 30];
        let other = vec![0.5; 30];
        let finish = Finish { addend: Addend::Other(&other), rectified: true };
        let units = units(&mut y, [3, 5], [4, 2], finish.addend);
        assert_eq!(units.len(), 6);
        assert_eq!(
            (units[5].pixel, units[5].pixels, units[5].filter, units[5].filters),
            (8, 2, 2, 1)
        );
        for mut unit in units {
            for place in &mut unit.places {
                assert!(place.pixel >= unit.pixel);
                assert!(place.pixel + place.len() <= unit.pixel + unit.pixels);
                let sums: Vec<f32> = (0..place.len()).map(|i| (place.pixel + i) as f32).collect();
                place.write(0, &sums, -10.0 * place.filter as f32, finish);
            }
        }
        for (i, y) in y.iter().enumerate() {
            let (image, filter, pixel) = (i / 15, i / 5 % 3, i % 5);
            let sum = (image * 5 + pixel) as f32 - 10.0 * filter as f32 + 0.5;
            assert_eq!(*y, sum.max(0.0));
        }
    }
}
