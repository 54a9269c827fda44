//! A JSON Schema of settings, as far as `schemars` makes it from our types.

use serde_json::Value as Json;

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

    /// A whole number's least and greatest value by its type.
    pub fn bounds(self) -> [Option<i64>; 2] {
        match self.node["format"].as_str() {
            Some("int16") => [Some(i64::from(i16::MIN)), Some(i64::from(i16::MAX))],
            Some("uint16") => [Some(0), Some(i64::from(u16::MAX))],
            Some("uint8") => [Some(0), Some(i64::from(u8::MAX))],
            Some(format) if format.starts_with("uint") => [Some(0), None],
            _ => [None, None],
        }
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
