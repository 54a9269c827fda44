//! The columns that names can mean.

use crate::Error;
use crate::kind::Kind;
use crate::typed::Typed;
use std::collections::BTreeSet;

/// A column of a frame.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// Name or alias of its table.
    pub(crate) table: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns of a frame, in its order. Names are compared without regard to case, as SQL does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) columns: Vec<ScopeColumn>,
    /// Positions of the columns that `*` and a name without a table mean: of two columns after USING there is one.
    pub(crate) visible: Vec<usize>,
    /// Each table with all its columns, for messages.
    pub(crate) tables: Vec<(String, Vec<String>)>,
    /// Names and aliases of tables.
    pub(crate) aliases: Vec<String>,
}

impl Scope {
    /// Columns of one table.
    pub(crate) fn of(table: Option<&str>, columns: Vec<(String, Kind)>) -> Self {
        let visible = (0..columns.len()).collect();
        let named = columns.iter().map(|(name, _)| name.clone()).collect();
        let columns = columns.into_iter().map(|(name, kind)| ScopeColumn {
            table: table.map(str::to_owned),
            name,
            kind,
        });
        Self {
            columns: columns.collect(),
            visible,
            tables: table.map(|table| (table.to_owned(), named)).into_iter().collect(),
            aliases: table.map(str::to_owned).into_iter().collect(),
        }
    }

    /// The columns of both, the other's after its own.
    pub(crate) fn beside(mut self, other: Self) -> Result<Self, Error> {
        if let Some(twice) = other.aliases.iter().find(|alias| self.has_table(alias)) {
            return Err(Error::Question(format!(
                "two tables are named `{twice}`; give one another name, as in `{twice} AS other`"
            )));
        }
        let n = self.columns.len();
        self.visible.extend(other.visible.iter().map(|position| position + n));
        self.columns.extend(other.columns);
        self.tables.extend(other.tables);
        self.aliases.extend(other.aliases);
        Ok(self)
    }

    pub(crate) fn has_table(&self, name: &str) -> bool {
        self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// The column that a name means; `None` where there is none.
    pub(crate) fn find(&self, table: Option<&str>, name: &str) -> Result<Option<Typed>, Error> {
        let positions: Vec<usize> = match table {
            None => self.visible.clone(),
            Some(table) => {
                let of_table = |position: &usize| {
                    let own = self.columns[*position].table.as_ref();
                    own.is_some_and(|own| own.eq_ignore_ascii_case(table))
                };
                (0..self.columns.len()).filter(of_table).collect()
            }
        };
        let is_named = |position: &&usize| self.columns[**position].name.eq_ignore_ascii_case(name);
        let found: Vec<usize> = positions.iter().filter(is_named).copied().collect();
        match found[..] {
            [] => Ok(None),
            [position] => Ok(Some(self.typed(position))),
            _ => {
                let tables = found.iter().filter_map(|n| self.columns[*n].table.as_ref());
                let tables: BTreeSet<String> =
                    tables.map(|table| format!("`{table}.{name}`")).collect();
                let tables: Vec<String> = tables.into_iter().collect();
                Err(Error::Question(format!(
                    "`{name}` is a column of several tables; name the one that is meant: {}",
                    tables.join(" or ")
                )))
            }
        }
    }

    pub(crate) fn typed(&self, position: usize) -> Typed {
        Typed::column(position, self.columns[position].kind.clone())
    }
}
