//! A JSON Schema of settings, as far as `schemars` makes it from our types.

use crate::error::Fault;
use crate::example::Language;
use crate::known::first_problem;
use crate::node::Node;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

/// The JSON Schema of settings: draft 7, which editors know best.
pub fn schema_of<T: JsonSchema>() -> Json {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}

/// A part of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    root: &'a Json,
    /// The part itself, references followed.
    node: &'a Json,
}

impl<'a> Schema<'a> {
    /// The whole of a schema.
    pub const fn new(root: &'a Json) -> Self {
        Self { root, node: root }
    }

    fn at(self, node: &'a Json) -> Self {
        let mut node = node;
        loop {
            let all = node["allOf"].as_array().filter(|all| all.len() == 1);
            if let Some(inner) = all.and_then(|all| all.first()) {
                node = inner;
            } else if let Some(target) = node["$ref"]
                .as_str()
                .and_then(|name| self.root.pointer(name.trim_start_matches('#')))
            {
                node = target;
            } else {
                return Self { root: self.root, node };
            }
        }
    }

    /// The kinds of value that it takes, beside none at all.
    pub fn alternatives(self) -> Vec<Self> {
        let of = ["anyOf", "oneOf"].into_iter().find_map(|key| self.node[key].as_array());
        let Some(all) = of else { return vec![self] };
        let parts = all.iter().map(|node| self.at(node));
        let parts = parts.filter(|part| part.node["type"] != "null");
        parts.flat_map(Self::alternatives).collect()
    }

    /// Whether it takes values of a JSON type.
    pub fn is(self, kind: &str) -> bool {
        match &self.node["type"] {
            Json::String(name) => name == kind,
            Json::Array(names) => names.iter().any(|name| name == kind),
            _ => false,
        }
    }

    /// Whether it takes everything.
    pub fn is_any(self) -> bool {
        self.node["type"].is_null() && self.names().is_empty()
    }

    /// The names that it takes, where it takes no other text.
    pub fn names(self) -> Vec<&'a str> {
        let many = self.node["enum"].as_array().into_iter().flatten();
        self.node["const"].as_str().into_iter().chain(many.filter_map(Json::as_str)).collect()
    }

    /// The keys of a section, in the order of the type.
    pub fn keys(self) -> Vec<&'a str> {
        self.node["properties"].as_object().into_iter().flatten().map(|(key, _)| &**key).collect()
    }

    /// The keys that a section cannot be without.
    pub fn required(self) -> Vec<&'a str> {
        self.node["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect()
    }

    /// What a key of a section takes; of a section with free keys, what any takes.
    pub fn key(self, key: &str) -> Option<Self> {
        let known = self.node["properties"].get(key);
        known.map(|node| self.at(node)).or_else(|| self.free())
    }

    /// What the free keys of a section take, where it has such keys.
    pub fn free(self) -> Option<Self> {
        let free = self.node.get("additionalProperties").filter(|free| **free != false);
        free.map(|node| self.at(node))
    }

    /// What the entries of a list take.
    pub fn items(self) -> Option<Self> {
        self.node.get("items").map(|node| self.at(node))
    }

    /// Whether it takes a whole number.
    pub(crate) fn takes_whole(self, number: i64) -> bool {
        let [low, high] = self.whole_bounds();
        let factor = self.node["multipleOf"].as_i64().unwrap_or(1);
        (low..=high).contains(&number) && number % factor.max(1) == 0
    }

    /// Whether it takes a number.
    pub(crate) fn takes_number(self, number: f64) -> bool {
        let bound = |key: &str| self.node[key].as_f64();
        number.is_finite()
            && bound("minimum").is_none_or(|low| low <= number)
            && bound("exclusiveMinimum").is_none_or(|low| low < number)
            && bound("maximum").is_none_or(|high| number <= high)
            && bound("exclusiveMaximum").is_none_or(|high| number < high)
    }

    /// A whole number's least and greatest value: those of the schema, or else those that TOML has.
    pub(crate) fn whole_bounds(self) -> [i64; 2] {
        let bound = |key: &str| self.node[key].as_i64();
        [bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX)]
    }

    /// The numbers that it takes, as in `from 1 to 4` and `over 0 and under 1`; empty for all.
    pub fn range(self) -> String {
        if self.is("integer") {
            let [low, high] = self.whole_bounds();
            let range = if low == i64::MIN && high == i64::MAX {
                String::new()
            } else {
                format!("from {low} to {high}")
            };
            return match self.node["multipleOf"].as_i64() {
                Some(factor) => format!("a multiple of {factor} {range}"),
                None => range,
            };
        }
        let bound = |key: &str| self.node[key].as_f64();
        let low = bound("minimum").map(|low| format!("from {low}"));
        let low = low.or_else(|| bound("exclusiveMinimum").map(|low| format!("over {low}")));
        let high = match (bound("maximum"), bound("exclusiveMaximum")) {
            (Some(high), _) if low.as_ref().is_some_and(|low| low.starts_with("from")) => {
                Some(format!("to {high}"))
            }
            (Some(high), _) => Some(format!("up to {high}")),
            (None, high) => high.map(|high| format!("under {high}")),
        };
        match (low, high) {
            (Some(low), Some(high)) if high.starts_with("to") => format!("{low} {high}"),
            (Some(low), Some(high)) => format!("{low} and {high}"),
            (low, high) => low.or(high).unwrap_or_default(),
        }
    }

    /// Least and greatest number of entries of a list.
    pub fn lengths(self) -> [Option<u64>; 2] {
        ["minItems", "maxItems"].map(|key| self.node[key].as_u64())
    }

    /// Least number of characters of a text.
    pub(crate) fn least_characters(self) -> u64 {
        self.node["minLength"].as_u64().unwrap_or(0)
    }

    /// Fails if a JSON value is not one that it takes; `key` is the full key of the value.
    ///
    /// # Errors
    ///
    /// Names the key, what was found and what is expected.
    pub fn check(self, value: &Json, key: &str) -> Result<(), Fault> {
        let problem = first_problem(&Node::of_json(value), self, key, Language::Json);
        problem.map_or(Ok(()), |problem| Err(problem.fault))
    }

    /// Whether it takes JSON's null, which stands for a key that is not given.
    pub fn takes_null(self) -> bool {
        let is_null = |node: &Json| match &node["type"] {
            Json::Array(kinds) => kinds.iter().any(|kind| kind == "null"),
            kind => kind == "null",
        };
        let parts = ["anyOf", "oneOf"].into_iter().filter_map(|of| self.node[of].as_array());
        is_null(self.node) || parts.flatten().any(is_null)
    }

    /// A value that shows how a key is written, where its type names one.
    pub fn example_of(self, key: &str) -> Option<&'a Json> {
        let examples = |node: &'a Json| node["examples"].as_array().and_then(|all| all.first());
        examples(self.node["properties"].get(key)?).or_else(|| examples(self.key(key)?.node))
    }

    /// What a key has where a file does not give it; `None` for nothing.
    pub fn default_of(self, key: &str) -> Option<&'a Json> {
        self.node["properties"].get(key)?.get("default").filter(|value| !value.is_null())
    }

    /// What the documentation says.
    pub fn description(self) -> &'a str {
        self.node["description"].as_str().unwrap_or_default()
    }

    /// What the documentation says of a key: of the key itself, or of its type.
    pub fn description_of(self, key: &str) -> &'a str {
        let own = self.node["properties"].get(key).and_then(|node| node["description"].as_str());
        own.or_else(|| self.key(key).map(Self::description)).unwrap_or_default()
    }
}
