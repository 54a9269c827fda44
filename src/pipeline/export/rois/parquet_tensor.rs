//! Writes Parquet rows with a tensor for each slice, in Arrow's canonical extension `arrow.fixed_shape_tensor`.
//!
//! Source: Arrow's "Canonical Extension Types".

use crate::pipeline::export::Error;
use crate::pipeline::export::regions::NoduleRegion;
use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, Int16Array, Int64Array, RecordBatch,
    StringArray, UInt8Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use fs_err::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows in a row group, as in `rois`.
const ROW_GROUP_ROWS: usize = 128;

/// Columns with tensors.
const TENSORS: [&str; 3] = ["hu", "mask", "other_mask"];

/// Parts, one for each shard of the store with a region.
pub(super) struct Parts {
    folder: PathBuf,
    open: Option<Part>,
    /// Size of every tensor along j and i.
    shape: Option<[usize; 2]>,
}

struct Part {
    shard: usize,
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl Parts {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: None, shape: None }
    }

    /// Adds the slices of a region, one row each.
    pub(super) fn add(&mut self, region: &NoduleRegion) -> Result<(), Error> {
        let [ni, nj, _] = region.hu.geometry().size();
        let shape = *self.shape.get_or_insert([nj, ni]);
        if shape != [nj, ni] {
            let [expected, found] = [shape, [nj, ni]].map(|[j, i]| format!("{j} × {i} pixels"));
            return Err(super::refused(
                region,
                "size",
                &found,
                &format!("{expected}, as the others"),
            ));
        }
        if self.open.as_ref().is_some_and(|part| part.shard != region.shard) {
            self.close()?;
        }
        let part = match self.open.take() {
            Some(part) => part,
            None => self.create(region.shard, shape)?,
        };
        let part = self.open.insert(part);
        let failed = |source| failed(&part.path, source);
        let batch = batch(region, shape).map_err(|error| failed(error.into()))?;
        part.writer.write(&batch).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.close()
    }

    fn create(&self, shard: usize, shape: [usize; 2]) -> Result<Part, Error> {
        let path = self.folder.join(format!("part-{shard:05}.parquet"));
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("nodulus ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
        for column in TENSORS {
            let leaf = ColumnPath::new([column, "list", "item"].map(str::to_owned).into());
            properties = properties
                .set_column_statistics_enabled(leaf.clone(), EnabledStatistics::None)
                .set_column_dictionary_enabled(leaf, false);
        }
        let file = File::create(&path)?;
        let writer = ArrowWriter::try_new(file, Arc::new(schema(shape)), Some(properties.build()))
            .map_err(|source| failed(&path, source))?;
        Ok(Part { shard, path, writer })
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(Part { path, writer, .. }) = self.open.take() {
            writer.close().map_err(|source| failed(&path, source))?;
        }
        Ok(())
    }
}

fn failed(path: &Path, source: ParquetError) -> Error {
    Error::Tensors { path: path.to_owned(), source: Box::new(source) }
}

/// Columns of a part; tensors are indexed `[j, i]`.
fn schema([nj, ni]: [usize; 2]) -> Schema {
    use DataType::{Boolean, Float64, Int16, Int64, UInt8, Utf8};
    let column = |name: &str, data_type| Field::new(name, data_type, false);
    let tensor = |name: &str, value: DataType| {
        let metadata = [
            ("ARROW:extension:name", "arrow.fixed_shape_tensor".to_owned()),
            (
                "ARROW:extension:metadata",
                format!(r#"{{"shape":[{nj},{ni}],"dim_names":["j","i"]}}"#),
            ),
        ];
        let mut field = column(name, DataType::FixedSizeList(item(value), (nj * ni) as i32));
        for (key, value) in metadata {
            field.metadata_mut().insert(key.to_owned(), value);
        }
        field
    };
    Schema::new(vec![
        column("roi_id", Utf8),
        column("nodule_id", Utf8),
        column("cohort", Utf8),
        column("patient_id", Utf8),
        column("series_instance_uid", Utf8),
        Field::new("split", Utf8, true),
        Field::new("fold", Int64, true),
        column("slice_index", Int64),
        column("start_j", Float64),
        column("start_i", Float64),
        column("spacing_k_mm", Float64),
        column("spacing_j_mm", Float64),
        column("spacing_i_mm", Float64),
        column("norm_low_hu", Float64),
        column("norm_high_hu", Float64),
        column("has_nodule", Boolean),
        tensor("hu", Int16),
        tensor("mask", UInt8),
        tensor("other_mask", UInt8),
    ])
}

/// A tensor's value. No value is null, but the type is nullable, because pyarrow only reads Arrow's own nullable form.
fn item(value: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", value, true))
}

/// The rows of a region.
fn batch(region: &NoduleRegion, shape: [usize; 2]) -> Result<RecordBatch, ArrowError> {
    let n = region.roi_ids.len();
    let text = |text: &str| Arc::new(StringArray::from(vec![text; n])) as ArrayRef;
    let number = |value: f64| Arc::new(Float64Array::from(vec![value; n])) as ArrayRef;
    let length = (shape[0] * shape[1]) as i32;
    let tensor = |values: ArrayRef| -> Result<ArrayRef, ArrowError> {
        let field = item(values.data_type().clone());
        Ok(Arc::new(FixedSizeListArray::try_new(field, length, values, None)?))
    };
    let bytes =
        |mask: &ndarray::Array3<u8>| tensor(Arc::new(mask.iter().copied().collect::<UInt8Array>()));
    let has_nodule: BooleanArray =
        region.mask.outer_iter().map(|slice| Some(slice.iter().any(|pixel| *pixel == 1))).collect();
    let [si, sj, sk] = region.hu.geometry().spacing().ijk();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(region.roi_ids.clone())),
        text(&region.nodule_id),
        text(&region.cohort),
        text(&region.patient_id),
        text(&region.series_instance_uid),
        Arc::new(StringArray::from(vec![region.split.as_deref(); n])),
        Arc::new(Int64Array::from(vec![region.fold; n])),
        Arc::new((region.first_slice..).take(n).collect::<Int64Array>()),
        number(region.start[1]),
        number(region.start[0]),
        number(sk),
        number(sj),
        number(si),
        number(region.window_hu[0]),
        number(region.window_hu[1]),
        Arc::new(has_nodule),
        tensor(Arc::new(region.hu.voxels().iter().copied().collect::<Int16Array>()))?,
        bytes(&region.mask)?,
        bytes(&region.others)?,
    ];
    RecordBatch::try_new(Arc::new(schema(shape)), columns)
}
