//! Reads a file of settings, with settings beside it in place of its own.

use crate::error::{Error, Fault, Place};
use crate::example::{self, Language};
use crate::known::first_problem;
use crate::node::Node;
use crate::schema::{Schema, schema_of};
use crate::set::Set;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Table;
use toml::de::DeTable;

/// A TOML file, and the settings that were given beside it.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    path: PathBuf,
    text: String,
    root: Node,
    /// The settings beside the file, each with the steps of its key.
    sets: Vec<(Vec<String>, Set)>,
}

impl SettingsFile {
    /// Reads a file's text and syntax.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or is not TOML.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path)
            .map_err(|error| Error::Read { path: path.to_owned(), cause: cause(&error, path) })?;
        let root = match DeTable::parse(&text) {
            Ok(table) => Node::of_toml(&table),
            Err(error) => {
                let place = place(path, &text, error.span());
                return Err(Error::Invalid { place, message: error.message().to_owned() });
            }
        };
        Ok(Self { path: path.to_owned(), text, root, sets: Vec::new() })
    }

    /// Whether the file has a key at its top level.
    pub fn has(&self, key: &str) -> bool {
        self.root.step(key).is_some()
    }

    /// The file's content as `T`, with settings beside it in place of its own.
    ///
    /// # Errors
    ///
    /// Fails if a key or value is not one of `T`'s.
    pub fn read<T: DeserializeOwned + JsonSchema>(&mut self, sets: &[Set]) -> Result<T, Error> {
        let schema = schema_of::<T>();
        let schema = Schema::new(&schema);
        if let Some(problem) = first_problem(&self.root, schema, "", Language::Toml) {
            let place = place(&self.path, &self.text, Some(problem.span));
            return Err(Error::Invalid { place, message: problem.fault.message });
        }
        let mut table: Table = toml::from_str(&self.text).map_err(|error| {
            let place = place(&self.path, &self.text, error.span());
            Error::Invalid { place, message: error.message().to_owned() }
        })?;
        let example = set_example(schema, "").unwrap_or_else(|| "key=value".to_owned());
        for set in sets {
            let (steps, value) = set.parts(&example)?;
            set.put(&mut table, &steps, value)?;
            self.sets.push((steps, set.clone()));
        }
        // Settings can be right each, and what they make be without a key that it needs.
        let together = table.to_string();
        let syntax = |error: &toml::de::Error| self.locate(&Fault::new("", error.message()));
        let root = DeTable::parse(&together).map_err(|error| syntax(&error))?;
        let root = Node::of_toml(&root);
        if let Some(problem) = first_problem(&root, schema, "", Language::Toml) {
            return Err(self.locate(&problem.fault));
        }
        toml::from_str(&together).map_err(|error| {
            let path = error.span().and_then(|span| root.path_at(span.start)).unwrap_or_default();
            let path = path.join(".");
            let message = match path.as_str() {
                "" => error.message().to_owned(),
                path => format!("`{path}`: {}", error.message()),
            };
            self.locate(&Fault::new(path, message))
        })
    }

    /// A fault with the place that it comes from: the last setting beside the file that touches one of its keys, or else
    /// the line of the first of them that is in the file.
    pub fn locate(&self, fault: &Fault) -> Error {
        let keys: Vec<Vec<&str>> = fault.keys.iter().map(|key| key.split('.').collect()).collect();
        let touches = |steps: &[String], key: &[&str]| {
            !steps.is_empty() && steps.iter().zip(key).all(|(step, key)| step == key)
        };
        let set = keys.iter().find_map(|key| {
            self.sets.iter().rev().find(|(steps, _)| touches(steps, key)).map(|(_, set)| set)
        });
        if let Some(set) = set {
            return set.error(&fault.message);
        }
        let place = match keys.iter().find_map(|key| self.span(key)) {
            Some(span) => place(&self.path, &self.text, Some(span)),
            None => Place::whole(&self.path),
        };
        Error::Invalid { place, message: fault.message.clone() }
    }

    /// The place of a value of the file; the whole file where it has none.
    pub fn place(&self, key: &[&str]) -> Place {
        self.span(key).map_or_else(
            || Place::whole(&self.path),
            |span| place(&self.path, &self.text, Some(span)),
        )
    }

    fn span(&self, key: &[&str]) -> Option<Range<usize>> {
        let mut node = &self.root;
        for step in key {
            node = node.step(step)?;
        }
        Some(node.span.clone())
    }
}

/// Why a file cannot be read, in plain words.
fn cause(error: &io::Error, path: &Path) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
        io::ErrorKind::InvalidData => "it is not text in UTF-8, expected a TOML file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder, expected a TOML file".to_owned(),
        _ if path.is_dir() => "it is a folder, expected a TOML file".to_owned(),
        kind => kind.to_string(),
    }
}

/// The first setting below a section that shows how `--set` is written.
fn set_example(schema: Schema<'_>, section: &str) -> Option<String> {
    schema.keys().into_iter().find_map(|key| {
        let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let inner = schema.key(key)?;
        let one = inner.alternatives().into_iter().next()?;
        if one.is("object") {
            return set_example(one, &path);
        }
        let is_number = one.is("integer") || one.is("number");
        let value = schema.default_of(key).cloned().or_else(|| example::value_of(inner));
        (is_number && !section.is_empty()).then(|| format!("{path}={}", value.unwrap_or_default()))
    })
}

/// A place in a file, with its line.
fn place(path: &Path, text: &str, span: Option<Range<usize>>) -> Place {
    let start = span.as_ref().map_or(0, |span| span.start.min(text.len()));
    let length = span.map_or(1, |span| span.len().max(1));
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line_number = before.matches('\n').count() + 1;
    let line = text[line_start..].lines().next().unwrap_or_default();
    let column = text[line_start..start].chars().count();
    let carets = "^".repeat(length.min(line.chars().count().saturating_sub(column)).max(1));
    let mut excerpt = String::new();
    let margin = " ".repeat(line_number.to_string().len());
    // Writing to a string cannot fail.
    let _ = write!(
        excerpt,
        "{margin} |\n{line_number} | {line}\n{margin} | {}{carets}",
        " ".repeat(column)
    );
    let name = format!("{}:{line_number}:{}", path.display(), column + 1);
    Place { name, excerpt: Some(excerpt) }
}
