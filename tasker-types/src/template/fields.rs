//! The entries of one mapping, held against the keys that it may have.

use serde_json::Value;

use super::codes;
use super::dialect::Dialect;
use super::keys::{Block, Key, Need};
use super::node::{At, Entry, Kind, Node};
use super::report::Report;
use super::scalar::{Scalar, describe, quoted, resolve, shortened};
use super::value::to_json;
use crate::suggest::nearest;

/// What keys are called elsewhere, and here.
const SYNONYMS: &[(&str, &str)] = &[
    ("depends_on", "dependencies"),
    ("needs", "dependencies"),
    ("requires", "dependencies"),
    ("after", "dependencies"),
    ("id", "name"),
    ("timeout", "timeout_seconds"),
    ("timeout_ms", "timeout_seconds"),
    ("retries", "retry"),
    ("retry_limit", "max_attempts"),
    ("attempts", "max_attempts"),
    ("max_retries", "max_attempts"),
    ("config", "initialization"),
    ("tasks", "steps"),
];

/// What the parser's parts hand to each other.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) report: Report,
    pub(super) dialect: Dialect,
}

/// The entries of a mapping by the names of their keys.
pub(super) struct Fields<'n, 's> {
    found: Vec<(&'static str, &'n Entry<'s>)>,
    /// Whose fields they are: "step `charge`".
    owner: String,
    /// What stands before a key's name in messages: "retry.".
    prefix: &'static str,
}

impl<'n, 's> Fields<'n, 's> {
    /// The fields of `node`, or `None` (and a finding) where it is no mapping. Unknown keys, keys
    /// given twice, and missing keys are reported.
    pub(super) fn of(
        node: &'n Node<'s>,
        block: &'static Block,
        owner: String,
        prefix: &'static str,
        reading: &mut Reading,
    ) -> Option<Self> {
        let mut fields = Self { found: Vec::new(), owner, prefix };
        let Kind::Map(entries) = &node.kind else {
            let message = format!("{} must be a mapping, but is {}", fields.place(), describe(node));
            let added = reading.report.add(&codes::WRONG_TYPE, node.anchor(), message);
            added.label("not a mapping");
            return None;
        };
        let mut unknown = Vec::new();
        for entry in entries {
            let name = reading.dialect.key(entry);
            match block.find(name) {
                Some(key) => fields.take(key, entry, reading),
                None => unknown.push((name, entry)),
            }
        }
        for (name, entry) in unknown {
            fields.unknown(block, name, entry, reading);
        }
        for key in block.keys {
            if matches!(key.need, Need::Required) && fields.get(key.name).is_none() {
                let message = format!("{} has no `{}`", fields.place(), key.name);
                reading
                    .report
                    .add(&codes::MISSING_KEY, node.anchor(), message)
                    .label(format!("`{}` is missing", key.name));
            }
        }
        Some(fields)
    }

    /// The entry of the key `name`.
    pub(super) fn get(&self, name: &str) -> Option<&'n Entry<'s>> {
        self.found.iter().find_map(|&(key, entry)| (key == name).then_some(entry))
    }

    /// The key in words: "`retry.backoff` of step `charge`".
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("`{}{key}` of {}", self.prefix, self.owner)
    }

    /// The mapping in words: "`retry` of step `charge`".
    fn place(&self) -> String {
        match self.prefix.strip_suffix('.') {
            Some(key) => format!("`{key}` of {}", self.owner),
            None => self.owner.clone(),
        }
    }

    fn take(&mut self, key: &'static Key, entry: &'n Entry<'s>, reading: &mut Reading) {
        match self.get(key.name) {
            None => self.found.push((key.name, entry)),
            Some(first) => {
                let message = format!("{} is given twice", self.name_of(key.name));
                reading
                    .report
                    .add(&codes::DUPLICATE_KEY, entry.key_at, message)
                    .label("given a second time here")
                    .related(first.key_at, "the first is here");
            }
        }
    }

    /// Reports an unknown key. Where it is clear which key was meant, its value is read as that
    /// key's, so that one slip of the pen does not cause a row of findings.
    fn unknown(&mut self, block: &'static Block, name: &str, entry: &'n Entry<'s>, reading: &mut Reading) {
        let synonym = SYNONYMS.iter().find_map(|&(other, own)| (other == name).then(|| block.find(own)).flatten());
        let names = block.keys.iter().map(|key| key.name);
        let meant = synonym.or_else(|| block.find(nearest(name, names)?));
        let message = format!("unknown key {} in {}", quoted(name), self.place());
        let added = reading.report.add(&codes::UNKNOWN_KEY, entry.key_at, message).label("unknown key");
        match meant {
            Some(key) => {
                added.suggest(Some(key.name));
                let readable = match key.need {
                    Need::Required => true,
                    Need::Optional => synonym.is_none(),
                    Need::Older => false,
                };
                if readable && self.get(key.name).is_none() {
                    self.found.push((key.name, entry));
                }
            }
            None => {
                let known: Vec<_> = block
                    .keys
                    .iter()
                    .filter(|key| matches!(key.need, Need::Required | Need::Optional))
                    .map(|key| format!("`{}`", key.name))
                    .collect();
                added.help(format!("known keys: {}", known.join(", ")));
            }
        }
    }

    /// The text of the key `name`, in the spelling of the source, and its place.
    pub(super) fn text(&self, name: &str, reading: &mut Reading) -> Option<(&'n str, At)> {
        let value = &self.get(name)?.value;
        match &value.kind {
            Kind::Scalar { text, plain } if resolve(text, *plain) != Scalar::Null => Some((text, value.at)),
            _ => {
                self.wrong_type(name, "text", value, reading);
                None
            }
        }
    }

    /// The truth value of the key `name`.
    pub(super) fn boolean(&self, name: &str, reading: &mut Reading) -> Option<bool> {
        let value = &self.get(name)?.value;
        let Kind::Scalar { text, plain } = &value.kind else {
            self.wrong_type(name, "`true` or `false`", value, reading);
            return None;
        };
        match resolve(text, *plain) {
            Scalar::Bool(value) => Some(value),
            _ => {
                self.wrong_type(name, "`true` or `false`", value, reading);
                None
            }
        }
    }

    /// The whole number of the key `name`, which must lie between the two bounds.
    pub(super) fn integer(&self, name: &str, least: u64, most: u64, reading: &mut Reading) -> Option<u64> {
        let value = &self.get(name)?.value;
        let number = match &value.kind {
            Kind::Scalar { text, plain } => match resolve(text, *plain) {
                Scalar::Int(number) => Some(number),
                _ => None,
            },
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type(name, "a whole number", value, reading);
            return None;
        };
        let fits =
            number.and_then(|number| u64::try_from(number).ok()).filter(|number| (least..=most).contains(number));
        if fits.is_none() {
            let message = format!("{} must be from {least} to {most}", self.name_of(name));
            reading.report.add(&codes::OUT_OF_RANGE, value.at, message).label("out of range");
        }
        fits
    }

    /// The items of the list under the key `name`.
    pub(super) fn list(&self, name: &str, reading: &mut Reading) -> Option<&'n [Node<'s>]> {
        let value = &self.get(name)?.value;
        match &value.kind {
            Kind::List(items) => Some(items),
            _ => {
                self.wrong_type(name, "a list", value, reading);
                None
            }
        }
    }

    /// The JSON Schema of the key `name`, and the place of the key. What is wrong within it only who compiles it can tell.
    pub(super) fn json_schema(&self, name: &str, reading: &mut Reading) -> Option<(Value, At)> {
        let entry = self.get(name)?;
        let schema = to_json(&entry.value, &mut reading.dialect, &mut reading.report);
        if matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Some((schema, entry.key_at));
        }
        self.wrong_type(name, "a JSON Schema", &entry.value, reading);
        None
    }

    /// Reports that the value of the key `name` is not what it must be.
    pub(super) fn wrong_type(&self, name: &str, wanted: &str, value: &Node<'_>, reading: &mut Reading) {
        let message = format!("{} must be {wanted}, but is {}", self.name_of(name), describe(value));
        // Where nothing is written there is nothing to point at but the key.
        let key_at = self.get(name).filter(|_| value.at.start == value.at.end).map(|entry| entry.key_at);
        let at = key_at.unwrap_or_else(|| value.anchor());
        let added = reading.report.add(&codes::WRONG_TYPE, at, message).label(format!("must be {wanted}"));
        if let Kind::Scalar { text, plain } = &value.kind {
            let boolean = match (&**text, wanted.starts_with("`true`")) {
                ("yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y", true) => Some("`true`"),
                ("no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N", true) => Some("`false`"),
                _ => None,
            };
            let unquoted = !plain && !matches!(resolve(text, true), Scalar::Text(_) | Scalar::Null);
            if let Some(boolean) = boolean {
                added.help(format!("YAML 1.2 reads {} as text; write {boolean}", quoted(text)));
            } else if unquoted && wanted != "a list" {
                added.help("remove the quotes");
            } else if wanted == "a list" && resolve(text, *plain) != Scalar::Null {
                added.help(format!("write `[{}]`", shortened(text)));
            }
        }
    }
}
