//! Partition of an output into work units for tasks.

/// Last steps of a convolution, done before its sums go to memory.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Tensor added to the sums.
    pub(crate) residual: Residual<'a>,
    /// Whether negative sums become 0.
    pub(crate) rectified: bool,
}

/// Tensor added to a convolution's sums, beside the shift of each filter.
#[derive(Clone, Copy)]
pub(crate) enum Residual<'a> {
    /// Nothing.
    None,
    /// The previous values of the output.
    Output,
    /// Another tensor of the output's size.
    Other(&'a [f32]),
}

/// A run of pixels in one filter's plane of one image.
pub(super) struct PixelRun<'a> {
    /// Filter of the output.
    pub(super) filter: usize,
    /// First pixel, counted over all images.
    pub(super) pixel: usize,
    values: &'a mut [f32],
    residual: Option<&'a [f32]>,
}

impl PixelRun<'_> {
    /// Number of pixels.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Writes sums from pixel `start` of the run on.
    #[inline(always)]
    pub(super) fn write(&mut self, start: usize, sums: &[f32], shift: f32, finish: Epilogue) {
        let lowest = if finish.rectified { 0.0 } else { f32::NEG_INFINITY };
        let to = &mut self.values[start..start + sums.len()];
        match (self.residual, finish.residual) {
            (Some(residual), _) => {
                for ((to, sum), residual) in to.iter_mut().zip(sums).zip(&residual[start..]) {
                    *to = (sum + shift + residual).max(lowest);
                }
            }
            (None, Residual::Output) => {
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

/// Work of a task: some filters at some pixels.
pub(super) struct WorkUnit<'a> {
    /// First pixel, counted over all images.
    pub(super) pixel: usize,
    /// Number of pixels.
    pub(super) pixels: usize,
    /// First filter.
    pub(super) filter: usize,
    /// Number of filters.
    pub(super) filters: usize,
    /// Ordered by filter, then by pixel.
    pub(super) runs: Vec<PixelRun<'a>>,
}

/// Divides an output of planes of `n` pixels into units of at most `pixels` pixels and
/// `filters_each` filters.
pub(super) fn units<'a>(
    y: &'a mut [f32],
    [filters, n]: [usize; 2],
    [pixels, filters_each]: [usize; 2],
    residual: Residual<'a>,
) -> Vec<WorkUnit<'a>> {
    let images = y.len() / (filters * n);
    let groups = filters.div_ceil(filters_each);
    let mut units: Vec<WorkUnit> = (0..(images * n).div_ceil(pixels) * groups)
        .map(|i| {
            let (pixel, filter) = (i / groups * pixels, i % groups * filters_each);
            let runs = Vec::with_capacity(filters_each);
            WorkUnit {
                pixel,
                pixels: pixels.min(images * n - pixel),
                filter,
                filters: filters_each.min(filters - filter),
                runs,
            }
        })
        .collect();
    for (i, plane) in y.chunks_exact_mut(n).enumerate() {
        let (image, filter) = (i / filters, i % filters);
        let mut residual = match residual {
            Residual::Other(values) => Some(&values[i * n..(i + 1) * n]),
            Residual::None | Residual::Output => None,
        };
        let (mut rest, mut pixel) = (plane, image * n);
        while !rest.is_empty() {
            let group = pixel / pixels;
            let len = ((group + 1) * pixels - pixel).min(rest.len());
            let (values, others) = rest.split_at_mut(len);
            let (own, other_residual) = residual.map(|a| a.split_at(len)).unzip();
            let run = PixelRun { filter, pixel, values, residual: own };
            units[group * groups + filter / filters_each].runs.push(run);
            (rest, residual) = (others, other_residual);
            pixel += len;
        }
    }
    for unit in &mut units {
        unit.runs.sort_by_key(|run| run.filter);
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
        let finish = Epilogue { residual: Residual::Other(&other), rectified: true };
        let units = units(&mut y, [3, 5], [4, 2], finish.residual);
        assert_eq!(units.len(), 6);
        assert_eq!(
            (units[5].pixel, units[5].pixels, units[5].filter, units[5].filters),
            (8, 2, 2, 1)
        );
        for mut unit in units {
            for run in &mut unit.runs {
                assert!(run.pixel >= unit.pixel);
                assert!(run.pixel + run.len() <= unit.pixel + unit.pixels);
                let sums: Vec<f32> = (0..run.len()).map(|i| (run.pixel + i) as f32).collect();
                run.write(0, &sums, -10.0 * run.filter as f32, finish);
            }
        }
        for (i, y) in y.iter().enumerate() {
            let (image, filter, pixel) = (i / 15, i / 5 % 3, i % 5);
            let sum = (image * 5 + pixel) as f32 - 10.0 * filter as f32 + 0.5;
            assert_eq!(*y, sum.max(0.0));
        }
    }
}
