//! What a stage leaves in the store: tables, and two things that are not tables.

use super::Table;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A folder of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Parquet parts.
    Table(Table),
    /// A network's weights (safetensors) and their description (JSON).
    Checkpoint,
    /// The report as HTML and JSON.
    Report,
}

impl Output {
    /// Every output of the stages, in data-flow order.
    pub fn all() -> impl Iterator<Item = Self> {
        Table::OF_STAGES.into_iter().map(Self::Table).chain([Self::Checkpoint, Self::Report])
    }

    /// Name of the output's folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table(table) => table.name(),
            Self::Checkpoint => "checkpoint",
            Self::Report => "report",
        }
    }

    /// Folder, within a key's folder, that holds the finished files.
    pub const fn files_folder(self) -> &'static str {
        match self {
            Self::Table(_) => "data",
            Self::Checkpoint | Self::Report => "files",
        }
    }

    /// Version of the columns; 1 where there are none.
    pub const fn schema_version(self) -> u32 {
        match self {
            Self::Table(table) => table.schema_version(),
            Self::Checkpoint | Self::Report => 1,
        }
    }

    /// The output with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|output| output.name() == name)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown output `{name}`")))
    }
}
