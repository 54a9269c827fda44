//! Reads rows of a part at given positions, without the row groups between them.

use crate::part_file::{PartReader, builder};
use crate::{Error, TableSpec};
use fs_err::File;
use parquet::arrow::arrow_reader::RowSelection;
use serde::de::DeserializeOwned;
use std::path::Path;

impl<T: DeserializeOwned> PartReader<T> {
    /// Opens a part to read the rows at these positions, which ascend. Row groups without one are not read.
    ///
    /// # Errors
    ///
    /// As [`PartReader::open`].
    pub(crate) fn at(
        path: &Path,
        table: &'static TableSpec,
        positions: &[u64],
    ) -> Result<Self, Error> {
        let builder = builder(path, File::open(path)?.into_parts().0, table)?;
        let (mut groups, mut ranges) = (Vec::new(), Vec::new());
        // Positions count from the start of the file, ranges from that of the first row group that is read.
        let (mut start, mut n_read) = (0, 0);
        for (n, group) in builder.metadata().row_groups().iter().enumerate() {
            let n_rows = u64::try_from(group.num_rows()).unwrap_or(0);
            let [first, end] =
                [start, start + n_rows].map(|at| positions.partition_point(|p| *p < at));
            start += n_rows;
            if first == end {
                continue;
            }
            let of_group = positions.get(first..end).unwrap_or_default();
            let at = |position: &u64| n_read + (position + n_rows - start) as usize;
            ranges.extend(of_group.iter().map(|position| at(position)..at(position) + 1));
            groups.push(n);
            n_read += n_rows as usize;
        }
        let rows = RowSelection::from_consecutive_ranges(ranges.into_iter(), n_read);
        let read = |source| Error::ReadParquet { path: path.to_owned(), source };
        let batches = builder
            .with_row_groups(groups)
            .with_row_selection(rows)
            .with_batch_size(table.row_group_rows.min(4096))
            .build()
            .map_err(read)?;
        Ok(Self { path: path.to_owned(), table, batches, rows: std::marker::PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Slice;
    use crate::{PartWriter, Provenance, Row as _};

    #[test]
    fn rows_at_positions_are_read_whichever_row_groups_hold_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let rows: Vec<Slice> = (0..300).map(Slice::new).collect();
        let mut writer = PartWriter::create(&path, &Provenance::new()).unwrap();
        writer.write(rows.clone()).unwrap();
        writer.finish().unwrap();
        let groups = Slice::TABLE.row_group_rows as u64;
        assert!(groups < 150, "{groups}");
        let of_first_and_last = [0, 1, groups - 1, groups, 298, 299];
        for positions in [&[][..], &[7], &[299], &of_first_and_last, &(0..300).collect::<Vec<_>>()]
        {
            let found: Vec<Slice> = PartReader::at(&path, Slice::TABLE, positions)
                .unwrap()
                .flat_map(Result::unwrap)
                .collect();
            let expected: Vec<Slice> =
                positions.iter().map(|position| rows[*position as usize].clone()).collect();
            assert_eq!(found, expected, "{positions:?}");
        }
    }
}
