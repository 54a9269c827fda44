//! Holm's correction for several tests.

/// Holm's adjusted p-values, in the given order.
///
/// METHOD: Holm 1979: the m p-values in ascending order, each times the number of p-values not yet
/// passed, never below the previous one, at most 1.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, n) in order.into_iter().enumerate() {
        least = least.max((p.len() - rank) as f64 * p[n]).min(1.0);
        adjusted[n] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} for {expected:?}");
        }
    }

    #[test]
    fn steps_down() {
        // 4 × 0.005, 3 × 0.01, 2 × 0.03, then 0.04 below it.
        assert_close(&holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
    }

    #[test]
    fn never_above_one() {
        assert_close(&holm(&[0.6, 0.7]), &[1.0, 1.0]);
        assert_close(&holm(&[0.2]), &[0.2]);
        assert_close(&holm(&[]), &[]);
    }
}
