//! What the stages leave in the store: tables, checkpoints and reports.

use super::Table;
use nodulus_store::OutputSpec;
use std::fmt;

/// Name of the source files among the inputs of a stage.
pub const SOURCES: &str = "sources";

/// An output of a stage.
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

    /// The output as a value for the store.
    pub const fn spec(self) -> OutputSpec {
        match self {
            Self::Table(table) => OutputSpec::Table(table.spec()),
            Self::Checkpoint => OutputSpec::Files("checkpoint"),
            Self::Report => OutputSpec::Files("report"),
        }
    }

    /// Name of the output's folder.
    pub const fn name(self) -> &'static str {
        self.spec().name()
    }

    /// The output with a name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|output| output.name() == name)
    }
}

impl From<Output> for OutputSpec {
    fn from(output: Output) -> Self {
        output.spec()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
