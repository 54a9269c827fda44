//! SQL and filters over tables of Parquet files.
