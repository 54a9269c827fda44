//! Loops over numbers, with the widest vector instructions that the processor has.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f`, compiled for the processor at hand; what it calls must be inlined to gain by it.
#[inline(always)]
pub(in crate::model) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

/// Sums of `g` and of `g * (x - mean)`.
#[derive(Clone, Copy)]
struct WeightedSums<'a> {
    g: &'a [f32],
    x: &'a [f32],
    /// Where it is not positive, `g` counts as 0.
    gate: Option<&'a [f32]>,
    mean: f32,
}

impl WithSimd for WeightedSums<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        match self.gate {
            None => self.run(simd, self.x, |g, _| g, |g, _| g),
            Some(gate) => {
                let zero = simd.splat_f32s(0.0);
                let vector = |g, y| simd.select_f32s(simd.greater_than_f32s(y, zero), g, zero);
                self.run(simd, gate, vector, |g, y| if y > 0.0 { g } else { 0.0 })
            }
        }
    }
}

impl WeightedSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(
        self,
        simd: S,
        gate: &[f32],
        vector: impl Fn(S::f32s, S::f32s) -> S::f32s,
        scalar: impl Fn(f32, f32) -> f32,
    ) -> (f32, f32) {
        // Four sums at a time: one would wait for itself.
        let (g, g_rest) = S::as_simd_f32s(self.g);
        let (x, x_rest) = S::as_simd_f32s(&self.x[..self.g.len()]);
        let (y, y_rest) = S::as_simd_f32s(&gate[..self.g.len()]);
        let zero = simd.splat_f32s(0.0);
        let mean = simd.splat_f32s(self.mean);
        let (mut sum, mut weighted) = ([zero; 4], [zero; 4]);
        let add = |g, x, y, sum: &mut S::f32s, weighted: &mut S::f32s| {
            let g = vector(g, y);
            *sum = simd.add_f32s(*sum, g);
            *weighted = simd.mul_add_f32s(g, simd.sub_f32s(x, mean), *weighted);
        };
        let (g4, g1) = g.as_chunks::<4>();
        let (x4, x1) = x.as_chunks::<4>();
        let (y4, y1) = y.as_chunks::<4>();
        for ((g, x), y) in g4.iter().zip(x4).zip(y4) {
            for i in 0..4 {
                add(g[i], x[i], y[i], &mut sum[i], &mut weighted[i]);
            }
        }
        for ((g, x), y) in g1.iter().zip(x1).zip(y1) {
            add(*g, *x, *y, &mut sum[0], &mut weighted[0]);
        }
        let total = |[a, b, c, d]: [S::f32s; 4]| {
            simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
        };
        let mut found = (total(sum), total(weighted));
        for ((g, x), y) in g_rest.iter().zip(x_rest).zip(y_rest) {
            let g = scalar(*g, *y);
            found = (found.0 + g, found.1 + g * (x - self.mean));
        }
        found
    }
}

/// Sums of `g` and of `g * (x - mean)`; where there is a gate, over its positive places only.
pub(super) fn weighted_sums(g: &[f32], x: &[f32], gate: Option<&[f32]>, mean: f32) -> (f32, f32) {
    Arch::new().dispatch(WeightedSums { g, x, gate, mean })
}

/// Sums of `x - pivot` and of its square.
struct Moments<'a> {
    x: &'a [f32],
    pivot: f32,
}

impl WithSimd for Moments<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let (x, rest) = S::as_simd_f32s(self.x);
        let zero = simd.splat_f32s(0.0);
        let pivot = simd.splat_f32s(self.pivot);
        let (mut sum, mut squares) = ([zero; 4], [zero; 4]);
        let add = |x, sum: &mut S::f32s, squares: &mut S::f32s| {
            let x = simd.sub_f32s(x, pivot);
            *sum = simd.add_f32s(*sum, x);
            *squares = simd.mul_add_f32s(x, x, *squares);
        };
        let (x4, x1) = x.as_chunks::<4>();
        for x in x4 {
            for i in 0..4 {
                add(x[i], &mut sum[i], &mut squares[i]);
            }
        }
        for x in x1 {
            add(*x, &mut sum[0], &mut squares[0]);
        }
        let total = |[a, b, c, d]: [S::f32s; 4]| {
            simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
        };
        let mut found = (total(sum), total(squares));
        for x in rest {
            let x = x - self.pivot;
            found = (found.0 + x, found.1 + x * x);
        }
        found
    }
}

/// Sums of `x - pivot` and of its square.
pub(super) fn moments(x: &[f32], pivot: f32) -> (f32, f32) {
    Arch::new().dispatch(Moments { x, pivot })
}

/// `to = scale * x + shift`.
pub(super) fn affine(to: &mut [f32], x: &[f32], scale: f32, shift: f32) {
    vectorised(
        #[inline(always)]
        || to.iter_mut().zip(x).for_each(|(to, x)| *to = scale * x + shift),
    );
}

/// `to += scale * x + shift`.
pub(super) fn add_affine(to: &mut [f32], x: &[f32], scale: f32, shift: f32) {
    vectorised(
        #[inline(always)]
        || to.iter_mut().zip(x).for_each(|(to, x)| *to += scale * x + shift),
    );
}

/// `to = max(0, to)`.
pub(super) fn rectify(to: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || to.iter_mut().for_each(|to| *to = to.max(0.0)),
    );
}

/// `to = g` where the gate is positive, 0 elsewhere.
pub(super) fn gated(to: &mut [f32], g: &[f32], gate: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for ((to, g), y) in to.iter_mut().zip(g).zip(gate) {
                *to = if *y > 0.0 { *g } else { 0.0 };
            }
        },
    );
}

/// `to = of_g * g + of_x * x + constant`, with 0 for `g` where the gate is not positive.
pub(super) fn combine(
    to: &mut [f32],
    g: &[f32],
    x: &[f32],
    gate: Option<&[f32]>,
    [of_g, of_x, constant]: [f32; 3],
) {
    vectorised(
        #[inline(always)]
        || {
            let pairs = to.iter_mut().zip(g).zip(x);
            match gate {
                None => pairs.for_each(|((to, g), x)| *to = of_g * g + of_x * x + constant),
                Some(gate) => pairs.zip(gate).for_each(|(((to, g), x), y)| {
                    let g = if *y > 0.0 { *g } else { 0.0 };
                    *to = of_g * g + of_x * x + constant;
                }),
            }
        },
    );
}

/// `to += from`.
pub(in crate::model) fn add(to: &mut [f32], from: &[f32]) {
    vectorised(
        #[inline(always)]
        || to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn sums_reach_every_element_of_any_length() {
        for n in [0, 1, 15, 16, 63, 64, 81, 150] {
            let x: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
            let gate: Vec<f32> = (0..n).map(|i| (i % 3) as f32 - 1.0).collect();
            let g = vec![2.0; n];
            let kept = || x.iter().zip(&gate).filter(|(_, y)| **y > 0.0).map(|(x, _)| x);
            let square = x.iter().map(|x| (x - 1.0) * (x - 1.0)).sum();
            assert_eq!(moments(&x, 1.0), (x.iter().map(|x| x - 1.0).sum(), square));
            let all = (2.0 * n as f32, x.iter().map(|x| 2.0 * (x - 1.0)).sum());
            assert_eq!(weighted_sums(&g, &x, None, 1.0), all);
            let some = (2.0 * kept().count() as f32, kept().map(|x| 2.0 * (x - 1.0)).sum());
            assert_eq!(weighted_sums(&g, &x, Some(&gate), 1.0), some);
            let mut to = vec![0.0; n];
            combine(&mut to, &g, &x, Some(&gate), [1.0, 10.0, 0.5]);
            for (i, to) in to.iter().enumerate() {
                let g = if gate[i] > 0.0 { 2.0 } else { 0.0 };
                assert_eq!(*to, g + 10.0 * x[i] + 0.5);
            }
        }
    }
}
