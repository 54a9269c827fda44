//! Parquet files whose pages carry checksums, so that every reader can tell a damaged page from a whole one.
//!
//! The Parquet library verifies the checksums and does not write them. So each row group is written in memory first, its page
//! headers get the CRC-32 of the page's bytes (Parquet's `PageHeader.crc`), and its columns are appended to the file.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// Writes a Parquet file with a checksum in each page's header.
pub struct ChecksumWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    schema: SchemaRef,
    properties: WriterProperties,
}

impl<W: Write + Send> ChecksumWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Fails if a column has no Parquet form, or nothing can be written.
    pub fn new(
        to: W,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, ParquetError> {
        let columns = ArrowSchemaConverter::new().convert(&schema)?;
        let mut own = properties.clone();
        add_encoded_arrow_schema_to_metadata(&schema, &mut own);
        let file = SerializedFileWriter::new(to, columns.root_schema_ptr(), Arc::new(own))?;
        Ok(Self { file, schema, properties })
    }

    /// Writes rows as one row group, or several where the properties allow fewer rows for each.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let properties = Some(self.properties.clone());
        let mut in_memory = ArrowWriter::try_new(Vec::new(), self.schema.clone(), properties)?;
        in_memory.write(batch)?;
        let bytes = Bytes::from(in_memory.into_inner()?);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let written =
            ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)?;
        for (n, group) in written.metadata().row_groups().iter().enumerate() {
            let indexes = written.metadata().page_index_for_row_group(n);
            let mut to = self.file.next_row_group()?;
            for (c, column) in group.columns().iter().enumerate() {
                let (start, length) = column.byte_range();
                let (start, length) = (start as usize, length as usize);
                let chunk = bytes.get(start..start + length).ok_or_else(broken)?;
                let checked = Checked::of(chunk)?;
                let mut offsets = indexes.offset_index(c).cloned();
                for place in offsets.iter_mut().flat_map(|o| o.page_locations.iter_mut()) {
                    let (at, size) = checked.place(place.offset - start as i64)?;
                    (place.offset, place.compressed_page_size) = (at, size);
                }
                let close = ColumnCloseResult {
                    bytes_written: checked.bytes.len() as u64,
                    rows_written: u64::try_from(group.num_rows()).unwrap_or(0),
                    metadata: checked.metadata(column, start as i64)?,
                    bloom_filter: written.get_row_group_column_bloom_filter(n, c)?,
                    column_index: indexes.column_index(c).cloned(),
                    offset_index: offsets,
                };
                to.append_column(&Bytes::from(checked.bytes), close)?;
            }
            to.close()?;
        }
        Ok(())
    }

    /// Ends the file, and writes what is still in memory.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be written.
    pub fn finish(&mut self) -> Result<(), ParquetError> {
        self.file.finish().map(drop)
    }

    /// Writes what is still in memory, with the error of the file system as it is.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Ends the file and returns what it was written to.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be written.
    pub fn into_inner(self) -> Result<W, ParquetError> {
        self.file.into_inner()
    }
}

/// The bytes of a column of a row group, with checksums.
struct Checked {
    bytes: Vec<u8>,
    /// Place of each page in the old bytes → place and size, header included, in the new ones.
    places: BTreeMap<i64, (i64, i32)>,
    /// How many bytes the headers grew.
    growth: i64,
}

impl Checked {
    fn of(chunk: &[u8]) -> Result<Self, ParquetError> {
        let mut checked = Self {
            bytes: Vec::with_capacity(chunk.len() + 64),
            places: BTreeMap::new(),
            growth: 0,
        };
        let mut at = 0;
        while at < chunk.len() {
            let header = Header::read(chunk, at)?;
            let page = chunk.get(header.end..header.end + header.n_bytes).ok_or_else(broken)?;
            let begun = checked.bytes.len();
            checked.bytes.extend_from_slice(&chunk[at..header.before_checksum]);
            // Thrift's compact protocol: a field is its distance from the one before, and its type.
            checked.bytes.push((1 << 4) | THRIFT_I32);
            push_varint(&mut checked.bytes, zigzag(crc32fast::hash(page) as i32));
            let next = chunk[header.before_checksum];
            checked.bytes.push(next - (1 << 4));
            checked.bytes.extend_from_slice(&chunk[header.before_checksum + 1..header.end]);
            checked.bytes.extend_from_slice(page);
            let size = i32::try_from(checked.bytes.len() - begun).map_err(|_| broken())?;
            checked.places.insert(at as i64, (begun as i64, size));
            at = header.end + header.n_bytes;
        }
        checked.growth = checked.bytes.len() as i64 - chunk.len() as i64;
        Ok(checked)
    }

    fn place(&self, old: i64) -> Result<(i64, i32), ParquetError> {
        self.places.get(&old).copied().ok_or_else(broken)
    }

    /// The metadata of the column, with places that count from its first byte.
    fn metadata(
        &self,
        old: &ColumnChunkMetaData,
        start: i64,
    ) -> Result<ColumnChunkMetaData, ParquetError> {
        let at = |offset: i64| self.place(offset - start).map(|(at, _)| at);
        let dictionary = old.dictionary_page_offset().map(at).transpose()?;
        old.clone()
            .into_builder()
            .set_data_page_offset(at(old.data_page_offset())?)
            .set_dictionary_page_offset(dictionary)
            .set_total_compressed_size(old.compressed_size() + self.growth)
            .set_total_uncompressed_size(old.uncompressed_size() + self.growth)
            .build()
    }
}

/// What is needed of a `PageHeader` in Thrift's compact protocol.
struct Header {
    /// Size of the page after the header.
    n_bytes: usize,
    /// Where the field `crc`, the fourth, belongs.
    before_checksum: usize,
    /// End of the header.
    end: usize,
}

const THRIFT_I32: u8 = 5;

impl Header {
    fn read(bytes: &[u8], at: usize) -> Result<Self, ParquetError> {
        let mut cursor = Cursor { bytes, at };
        let mut numbers = [0; 3];
        // Type, uncompressed size and compressed size stand first, and are always there.
        for number in &mut numbers {
            if cursor.byte()? != (1 << 4) | THRIFT_I32 {
                return Err(broken());
            }
            *number = cursor.varint()?;
        }
        let before_checksum = cursor.at;
        // The next field is the header of the kind of page, at least two after the third.
        if cursor.byte()? >> 4 < 2 {
            return Err(broken());
        }
        cursor.at = before_checksum;
        cursor.skip_struct(0)?;
        let n_bytes = usize::try_from(numbers[2] >> 1).map_err(|_| broken())?;
        Ok(Self { n_bytes, before_checksum, end: cursor.at })
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8, ParquetError> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, ParquetError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken())
    }

    /// Goes to the end of a struct, whose fields may be structs themselves.
    fn skip_struct(&mut self, depth: u8) -> Result<(), ParquetError> {
        loop {
            let field = self.byte()?;
            if field == 0 {
                return Ok(());
            }
            if field >> 4 == 0 {
                self.varint()?;
            }
            match field & 0x0f {
                // True and false have no value of their own.
                1 | 2 => {}
                3 => self.at += 1,
                4..=6 => drop(self.varint()?),
                7 => self.at += 8,
                8 => {
                    let length = self.varint()?;
                    self.at += usize::try_from(length).map_err(|_| broken())?;
                }
                12 if depth < 8 => self.skip_struct(depth + 1)?,
                _ => return Err(broken()),
            }
        }
    }
}

fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn broken() -> ParquetError {
    ParquetError::General("a page that was just written is not as expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray as _, BinaryArray, Float64Array, StringArray};
    use arrow::datatypes::Float64Type;
    use parquet::arrow::arrow_reader::RowSelection;
    use parquet::file::properties::EnabledStatistics;

    fn batch(n: usize) -> RecordBatch {
        let names = (0..n).map(|i| (i % 7 != 0).then(|| format!("name {}", i % 50)));
        let pixels = (0..n).map(|i| vec![i as u8; 300]).collect::<Vec<_>>();
        RecordBatch::try_from_iter([
            ("name", Arc::new(names.collect::<StringArray>()) as _),
            ("x", Arc::new((0..n).map(|i| i as f64 / 3.0).collect::<Float64Array>()) as _),
            ("pixels", Arc::new(pixels.iter().map(|p| Some(&p[..])).collect::<BinaryArray>()) as _),
        ])
        .unwrap()
    }

    fn written(n: usize) -> Vec<u8> {
        let properties = WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(100)
            .set_column_bloom_filter_enabled("name".into(), true)
            .set_created_by("a test".to_owned())
            .build();
        let mut writer = ChecksumWriter::new(Vec::new(), batch(1).schema(), properties).unwrap();
        writer.write(&batch(n)).unwrap();
        writer.write(&batch(5)).unwrap();
        writer.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<RecordBatch>, String> {
        let bytes = Bytes::copy_from_slice(bytes);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| error.to_string())?;
        reader.map(|batch| batch.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn rows_indexes_and_filters_are_as_the_library_writes_them() {
        let bytes = written(1000);
        let rows = read(&bytes).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1005);
        let x = rows[0]["x"].as_primitive::<Float64Type>();
        assert!((x.value(600) - 200.0).abs() < f64::EPSILON);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes), options)
                .unwrap();
        assert_eq!(builder.metadata().num_row_groups(), 2);
        let filter = builder.get_row_group_column_bloom_filter(0, 0).unwrap().unwrap();
        assert!(filter.check("name 3") && !filter.check("name 77"));
        let indexes = builder.metadata().page_index_for_row_group(0);
        assert!(indexes.offset_index(1).unwrap().page_locations.len() >= 5);
        // Pages are found by their places.
        let rows = RowSelection::from_consecutive_ranges(std::iter::once(730..731), 1005);
        let found: Vec<_> =
            builder.with_row_selection(rows).build().unwrap().map(Result::unwrap).collect();
        let x = found[0]["x"].as_primitive::<Float64Type>();
        assert!((x.value(0) - 730.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_flipped_bit_in_any_page_is_an_error() {
        let bytes = written(1000);
        let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes.clone())).unwrap();
        let mut n_flipped = 0;
        for column in builder.metadata().row_group(0).columns() {
            let (start, length) = column.byte_range();
            let chunk = &bytes[start as usize..(start + length) as usize];
            let mut at = 0;
            while at < chunk.len() {
                let header = Header::read_checked(chunk, at);
                let page = header.0;
                for bit in [0, header.1 * 4, header.1 * 8 - 1] {
                    let mut damaged = bytes.clone();
                    damaged[start as usize + page + bit / 8] ^= 1 << (bit % 8);
                    let error = read(&damaged).unwrap_err();
                    assert!(error.contains("CRC"), "{error}");
                    n_flipped += 1;
                }
                at = page + header.1;
            }
        }
        assert!(n_flipped > 30, "{n_flipped}");
    }

    impl Header {
        /// Start and size of the page whose header, with a checksum, is at `at`.
        fn read_checked(bytes: &[u8], at: usize) -> (usize, usize) {
            let mut cursor = Cursor { bytes, at };
            let mut numbers = [0; 3];
            for number in &mut numbers {
                cursor.byte().unwrap();
                *number = cursor.varint().unwrap();
            }
            cursor.skip_struct(0).unwrap();
            (cursor.at, (numbers[2] >> 1) as usize)
        }
    }
}
