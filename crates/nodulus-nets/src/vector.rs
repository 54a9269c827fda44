//! Loops with the widest vector instructions that the processor has.

use pulp::{Arch, Simd, WithSimd};

/// Runs `f` compiled for the processor's instruction set. Functions that `f` calls gain from it
/// only if they are inlined.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

/// Condition under which a gradient counts: `scale * x + shift` is positive.
#[derive(Clone, Copy)]
pub(super) struct ReluGate {
    pub(super) scale: f32,
    pub(super) shift: f32,
}

/// Sums of `g` and of `g * (x - mean)`.
#[derive(Clone, Copy)]
struct WeightedSums<'a> {
    g: &'a [f32],
    x: &'a [f32],
    gate: Option<ReluGate>,
    mean: f32,
}

impl WithSimd for WeightedSums<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let Some(ReluGate { scale, shift }) = self.gate else {
            return self.run(
                simd,
                #[inline(always)]
                |g, _| g,
                #[inline(always)]
                |g, _| g,
            );
        };
        let zero = simd.splat_f32s(0.0);
        let (scales, shifts) = (simd.splat_f32s(scale), simd.splat_f32s(shift));
        self.run(
            simd,
            #[inline(always)]
            |g, x| {
                // Rounded as in the forward pass: no fused multiplication.
                let y = simd.add_f32s(simd.mul_f32s(scales, x), shifts);
                simd.select_f32s(simd.greater_than_f32s(y, zero), g, zero)
            },
            #[inline(always)]
            |g, x| if scale * x + shift > 0.0 { g } else { 0.0 },
        )
    }
}

impl WeightedSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(
        self,
        simd: S,
        vector: impl Fn(S::f32s, S::f32s) -> S::f32s,
        scalar: impl Fn(f32, f32) -> f32,
    ) -> (f32, f32) {
        // Four sums at a time: a single one would wait for itself.
        let (g, g_rest) = S::as_simd_f32s(self.g);
        let (x, x_rest) = S::as_simd_f32s(&self.x[..self.g.len()]);
        let zero = simd.splat_f32s(0.0);
        let mean = simd.splat_f32s(self.mean);
        let (mut sum, mut weighted) = ([zero; 4], [zero; 4]);
        let add = |g, x, sum: &mut S::f32s, weighted: &mut S::f32s| {
            let g = vector(g, x);
            *sum = simd.add_f32s(*sum, g);
            *weighted = simd.mul_add_f32s(g, simd.sub_f32s(x, mean), *weighted);
        };
        let (g4, g1) = g.as_chunks::<4>();
        let (x4, x1) = x.as_chunks::<4>();
        for (g, x) in g4.iter().zip(x4) {
            for i in 0..4 {
                add(g[i], x[i], &mut sum[i], &mut weighted[i]);
            }
        }
        for (g, x) in g1.iter().zip(x1) {
            add(*g, *x, &mut sum[0], &mut weighted[0]);
        }
        let mut found = (total(simd, sum), total(simd, weighted));
        for (g, x) in g_rest.iter().zip(x_rest) {
            let g = scalar(*g, *x);
            found = (found.0 + g, found.1 + g * (x - self.mean));
        }
        found
    }
}

#[inline(always)]
fn total<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> f32 {
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// Sums of `g` and of `g * (x - mean)`; with a gate, over the elements that pass it.
pub(super) fn weighted_sums(g: &[f32], x: &[f32], gate: Option<ReluGate>, mean: f32) -> (f32, f32) {
    Arch::new().dispatch(WeightedSums { g, x, gate, mean })
}

/// Sums of `x - pivot` and of its square.
struct MomentSums<'a> {
    x: &'a [f32],
    pivot: f32,
}

impl WithSimd for MomentSums<'_> {
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
        let mut found = (total(simd, sum), total(simd, squares));
        for x in rest {
            let x = x - self.pivot;
            found = (found.0 + x, found.1 + x * x);
        }
        found
    }
}

/// Sums of `x - pivot` and of its square.
pub(super) fn moments(x: &[f32], pivot: f32) -> (f32, f32) {
    Arch::new().dispatch(MomentSums { x, pivot })
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

/// `to = g` where `gate` is positive, 0 elsewhere.
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

/// `to = of_g * g + of_x * x + constant`; `g` counts as 0 where it does not pass the gate.
pub(super) fn combine(
    to: &mut [f32],
    g: &[f32],
    x: &[f32],
    gate: Option<ReluGate>,
    [of_g, of_x, constant]: [f32; 3],
) {
    vectorised(
        #[inline(always)]
        || {
            let pairs = to.iter_mut().zip(g).zip(x);
            match gate {
                None => pairs.for_each(|((to, g), x)| *to = of_g * g + of_x * x + constant),
                Some(ReluGate { scale, shift }) => pairs.for_each(|((to, g), x)| {
                    let g = if scale * x + shift > 0.0 { *g } else { 0.0 };
                    *to = of_g * g + of_x * x + constant;
                }),
            }
        },
    );
}

/// `to += from`.
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
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
            let g = vec![2.0; n];
            // The gate passes where x is 3 or 4.
            let gate = Some(ReluGate { scale: 2.0, shift: -5.0 });
            let kept = || x.iter().filter(|x| **x > 2.5);
            let square = x.iter().map(|x| (x - 1.0) * (x - 1.0)).sum();
            assert_eq!(moments(&x, 1.0), (x.iter().map(|x| x - 1.0).sum(), square));
            let all = (2.0 * n as f32, x.iter().map(|x| 2.0 * (x - 1.0)).sum());
            assert_eq!(weighted_sums(&g, &x, None, 1.0), all);
            let some = (2.0 * kept().count() as f32, kept().map(|x| 2.0 * (x - 1.0)).sum());
            assert_eq!(weighted_sums(&g, &x, gate, 1.0), some);
            let mut to = vec![0.0; n];
            combine(&mut to, &g, &x, gate, [1.0, 10.0, 0.5]);
            for (to, x) in to.iter().zip(&x) {
                assert_eq!(*to, if *x > 2.5 { 2.0 } else { 0.0 } + 10.0 * x + 0.5);
            }
        }
    }
}
