//! Tables in shards of Parquet, written once and committed by rename, with their provenance.
