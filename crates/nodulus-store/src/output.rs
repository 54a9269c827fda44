//! What a job leaves in the store: tables, and folders of other files.

use crate::TableSpec;

/// An output of a job, with a folder of its own in the store.
#[derive(Clone, Copy, Debug)]
pub enum OutputSpec {
    /// A table, as Parquet parts.
    Table(&'static TableSpec),
    /// Files of any kind, under a name.
    Files(&'static str),
}

impl OutputSpec {
    /// Name of the output's folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table(table) => table.name,
            Self::Files(name) => name,
        }
    }

    /// Version of the columns; 1 where there are none.
    pub const fn schema_version(self) -> u32 {
        match self {
            Self::Table(table) => table.schema_version,
            Self::Files(_) => 1,
        }
    }
}

/// Two outputs of one name are the same output.
impl PartialEq for OutputSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for OutputSpec {}

impl From<&'static TableSpec> for OutputSpec {
    fn from(table: &'static TableSpec) -> Self {
        Self::Table(table)
    }
}
