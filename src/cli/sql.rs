//! `nodulus sql`.

use super::error::{Error, Outcome};
use super::rows::{self, Rows};
#[cfg(feature = "sql")]
use super::sql_answer::answer;
use arrow::array::RecordBatch;
use clap::{Args, ValueEnum};
use nodulus_store::{ChecksumWriter, Store, durable};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a program without SQL says.
const WITHOUT_SQL: &str = "this nodulus was built without SQL; build it without `--no-default-features`, or with \
                           `--features sql` (`nodulus show` needs no SQL)";

#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// Question, in SQL
    query: String,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Format of the answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Table)]
    format: AnswerFormat,
    /// File to write to; default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerFormat {
    /// Aligned columns
    Table,
    /// A line of names, then a line for each row
    Csv,
    /// A JSON object on each line
    Json,
    /// A Parquet file
    Parquet,
}

/// Answers a question in SQL.
pub(super) fn sql(arguments: &SqlArguments, out: &mut dyn Write) -> Result<Outcome, Error> {
    if cfg!(not(feature = "sql")) {
        return Err(Error::Usage(WITHOUT_SQL.to_owned()));
    }
    let store = Store::open(&arguments.store)?;
    if arguments.out.is_none() && arguments.format == AnswerFormat::Parquet {
        return Err(Error::Usage("`--format parquet` needs `--out FILE`".to_owned()));
    }
    if let Some(file) = &arguments.out {
        refuse_store(file, store.root())?;
    }
    let answer = answer(&arguments.query, &store)?;
    match &arguments.out {
        None => write(&answer, arguments.format, out)?,
        Some(file) => {
            let mut bytes = Vec::new();
            write(&answer, arguments.format, &mut bytes)?;
            durable::write(file, &bytes)?;
        }
    }
    Ok(Outcome::Success)
}

fn write(answer: &RecordBatch, format: AnswerFormat, out: &mut dyn Write) -> Result<(), Error> {
    let mut rows = |format| Rows::of(answer).write(format, out);
    match format {
        AnswerFormat::Table => rows(rows::RowFormat::Table),
        AnswerFormat::Csv => rows(rows::RowFormat::Csv),
        AnswerFormat::Json => rows(rows::RowFormat::Json),
        AnswerFormat::Parquet => {
            let bytes = parquet_bytes(answer).map_err(std::io::Error::other)?;
            Ok(out.write_all(&bytes)?)
        }
    }
}

fn parquet_bytes(answer: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("nodulus ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ChecksumWriter::new(Vec::new(), answer.schema(), properties)?;
    writer.write(answer)?;
    writer.into_inner()
}

/// Refuses a file in the store, which holds what its manifests list and nothing else.
fn refuse_store(file: &Path, store: &Path) -> Result<(), Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(folder) = fs_err::canonicalize(folder) else {
        let text = format!(
            "`--out {}`: there is no folder `{}`; create it, or choose another",
            file.display(),
            folder.display()
        );
        return Err(Error::Usage(text));
    };
    if folder.starts_with(fs_err::canonicalize(store)?) {
        let text = format!("`--out {}` is in the store, expected a file elsewhere", file.display());
        return Err(Error::Usage(text));
    }
    Ok(())
}

#[cfg(not(feature = "sql"))]
fn answer(_: &str, _: &Store) -> Result<RecordBatch, Error> {
    Err(Error::Usage(WITHOUT_SQL.to_owned()))
}
