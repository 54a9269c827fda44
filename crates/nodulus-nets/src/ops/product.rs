//! Matrix products.

/// Numbers viewed as a matrix: element (r, c) lies at `r * row_step + c * column_step`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, `row_step` apart.
    ///
    /// # Panics
    ///
    /// Panics if the values end before the matrix does.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize, row_step: usize) -> Self {
        assert!(fits(values.len(), rows, columns, row_step), "matrix larger than its values");
        Self { values, rows, columns, row_step, column_step: 1 }
    }

    /// The transposed matrix, of the same values.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }
}

fn fits(len: usize, rows: usize, columns: usize, row_step: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_step + columns <= len
}

/// What a product does with the previous values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteMode {
    /// Replaces them.
    Replace,
    /// Adds to them.
    Add,
}

/// Writes `a * b` to the rows of `to`, which are `row_step` apart, on one thread.
///
/// # Panics
///
/// Panics if the matrices do not fit each other or `to`.
pub(super) fn product(to: &mut [f32], row_step: usize, onto: WriteMode, a: Matrix, b: Matrix) {
    assert_eq!(a.columns, b.rows, "columns of the first matrix, rows of the second");
    assert!(
        row_step >= b.columns && fits(to.len(), a.rows, b.columns, row_step),
        "product larger than its place"
    );
    #[expect(
        unsafe_code,
        reason = "the only fast product takes pointers; bounds are checked above"
    )]
    // SAFETY: `fits` was checked for all three matrices, on construction and above, so every
    // element that is read or written lies within its slice; `to` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            to.as_mut_ptr(),
            1,
            row_step as isize,
            onto == WriteMode::Add,
            a.values.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn rows_may_lie_apart() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 9.0, 0.0, 1.0, 9.0, 2.0, 1.0];
        let mut to = [10.0; 5];
        // [1 2 3; 4 5 6] * [1 0; 0 1; 2 1]
        let (a, b) = (Matrix::new(&a, 2, 3, 3), Matrix::new(&b, 3, 2, 3));
        product(&mut to, 3, WriteMode::Replace, a, b);
        assert_eq!(to, [7.0, 5.0, 10.0, 16.0, 11.0]);
        product(&mut to, 3, WriteMode::Add, a, b);
        assert_eq!(to, [14.0, 10.0, 10.0, 32.0, 22.0]);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn transposing_changes_no_value() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut to = [0.0; 9];
        let a = Matrix::new(&a, 2, 3, 3);
        product(&mut to, 3, WriteMode::Replace, a.transposed(), a);
        assert_eq!(to, [17.0, 22.0, 27.0, 22.0, 29.0, 36.0, 27.0, 36.0, 45.0]);
    }

    #[test]
    #[should_panic(expected = "matrix larger than its values")]
    fn a_matrix_past_its_values_is_refused() {
        Matrix::new(&[0.0; 5], 2, 3, 3);
    }
}
