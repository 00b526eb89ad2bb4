//! What is otherwise in one content of a template than in another one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{StepTemplate, Template};
use crate::StepNumber;

/// What is otherwise in a template than it was: steps are told apart by their names, wherever they stand.
///
/// ```
/// use tasker_types::template::parse;
///
/// let old = parse("a.yaml", "name: a\nsteps: [{ name: charge, timeout_seconds: 5 }]").unwrap().template;
/// let new = parse("a.yaml", "name: a\nsteps: [{ name: charge }, { name: ship, dependencies: [charge] }]").unwrap().template;
/// let diff = old.diff(&new);
/// assert_eq!(diff.added, ["ship"]);
/// assert_eq!(diff.changed[0].keys[0].key, "timeout_ms");
/// assert_eq!((diff.edges_added[0].from.as_str(), diff.edges_added[0].to.as_str()), ("charge", "ship"));
/// assert!(new.diff(&new).is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TemplateDiff {
    /// What is said of the template as a whole.
    pub keys: Vec<KeyChange>,
    /// Steps that were not there, in the order of the new content.
    pub added: Vec<String>,
    /// Steps that are there no more, in the order of the old content.
    pub removed: Vec<String>,
    /// Steps of both of which something else is said, in the order of the new content.
    pub changed: Vec<StepChange>,
    /// Dependencies that were not there, by the names of their steps.
    pub edges_added: Vec<Edge>,
    /// Dependencies that are there no more, by the names of their steps.
    pub edges_removed: Vec<Edge>,
    /// Steps of both stand in another order.
    pub reordered: bool,
}

/// What is otherwise said under one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyChange {
    /// The key, and those that it is within, with dots between them.
    pub key: String,
    /// What was said; `None` where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What is said now; `None` where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// What is otherwise said of a step, apart from what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepChange {
    /// Its name.
    pub step: String,
    /// The keys, in alphabetical order.
    pub keys: Vec<KeyChange>,
}

/// One step waits for another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// The step that is waited for.
    pub from: String,
    /// The step that waits.
    pub to: String,
}

impl TemplateDiff {
    /// Whether both say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Template {
    /// What is otherwise in `new` than here.
    #[must_use]
    pub fn diff(&self, new: &Self) -> TemplateDiff {
        let (before, after) = (by_name(self), by_name(new));
        let only = |template: &Self, other: &BTreeMap<&str, &StepTemplate>| -> Vec<String> {
            template.names().filter(|name| !other.contains_key(name)).map(str::to_owned).collect()
        };
        let changed = new.steps.iter().filter_map(|step| {
            let keys = changes(step_keys(self, before.get(step.name.as_str())?), step_keys(new, step));
            (!keys.is_empty()).then(|| StepChange { step: step.name.clone(), keys })
        });
        let (edges_before, edges_after) = (edges(self), edges(new));
        let both = |template: &Self| -> Vec<String> {
            let known = |name: &&str| before.contains_key(name) && after.contains_key(name);
            template.names().filter(known).map(str::to_owned).collect()
        };
        TemplateDiff {
            keys: changes(keys_of(self), keys_of(new)),
            added: only(new, &before),
            removed: only(self, &after),
            changed: changed.collect(),
            edges_added: edges_after.difference(&edges_before).cloned().collect(),
            edges_removed: edges_before.difference(&edges_after).cloned().collect(),
            reordered: both(self) != both(new),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.name.as_str())
    }

    fn name_of(&self, number: StepNumber) -> String {
        self.steps.get(number.index()).map(|step| step.name.clone()).unwrap_or_default()
    }
}

fn by_name(template: &Template) -> BTreeMap<&str, &StepTemplate> {
    template.steps.iter().map(|step| (step.name.as_str(), step)).collect()
}

fn edges(template: &Template) -> BTreeSet<Edge> {
    let of = |step: &StepTemplate| -> Vec<Edge> {
        let edge = |&from: &StepNumber| Edge { from: template.name_of(from), to: step.name.clone() };
        step.dependencies.iter().map(edge).collect()
    };
    template.steps.iter().flat_map(of).collect()
}

type Keys = BTreeMap<String, Value>;

/// What is said of the template as a whole.
fn keys_of(template: &Template) -> Keys {
    let mut value = serde_json::to_value(Template { steps: Vec::new(), ..template.clone() }).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.remove("steps");
    }
    flat(value)
}

/// What is said of a step. Its number is nothing that somebody says, and neither are those of others.
fn step_keys(template: &Template, step: &StepTemplate) -> Keys {
    let mut value = serde_json::to_value(step).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.remove("dependencies");
        if let Some(Value::Object(inputs)) = map.get_mut("inputs") {
            for (name, source) in step.inputs.iter().flatten() {
                let of = source.step.map_or_else(|| "context".to_owned(), |number| template.name_of(number));
                let from = if source.path.is_empty() { of } else { format!("{of}.{}", source.path) };
                inputs.insert(name.clone(), from.into());
            }
        }
    }
    flat(value)
}

/// Every value by the keys that lead to it. What is empty says nothing.
fn flat(value: Value) -> Keys {
    fn walk(path: String, value: Value, keys: &mut Keys) {
        match value {
            Value::Null => {}
            Value::Object(map) => {
                for (key, value) in map {
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    walk(path, value, keys);
                }
            }
            Value::Array(list) if list.is_empty() => {}
            value => _ = keys.insert(path, value),
        }
    }
    let mut keys = Keys::new();
    walk(String::new(), value, &mut keys);
    keys
}

fn changes(mut old: Keys, new: Keys) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    for (key, value) in new {
        let before = old.remove(&key);
        if before.as_ref() != Some(&value) {
            changes.push(KeyChange { key, old: before, new: Some(value) });
        }
    }
    changes.extend(old.into_iter().map(|(key, value)| KeyChange { key, old: Some(value), new: None }));
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    fn template(text: &str) -> Template {
        parse("t.yaml", text).expect("it is well").template
    }

    #[test]
    fn steps_are_told_apart_by_their_names_wherever_they_stand() {
        let old = template("name: t\nsteps: [{name: a}, {name: b, dependencies: [a]}, {name: c, dependencies: [b]}]");
        let new = template("name: t\nsteps: [{name: x}, {name: a}, {name: c, dependencies: [a, x]}]");
        let diff = old.diff(&new);
        let edge = |from: &str, to: &str| Edge { from: from.to_owned(), to: to.to_owned() };
        assert_eq!((diff.added.clone(), diff.removed.clone()), (vec!["x".to_owned()], vec!["b".to_owned()]));
        assert_eq!(diff.edges_added, [edge("a", "c"), edge("x", "c")]);
        assert_eq!(diff.edges_removed, [edge("a", "b"), edge("b", "c")]);
        assert_eq!((diff.keys, diff.changed, diff.reordered), (vec![], vec![], false), "nothing else is otherwise");
    }

    #[test]
    fn each_key_has_what_was_said_and_what_is_said() {
        let old = template(
            "name: t\nversion: 1.0.0\nsteps: [{name: a, handler: {callable: a, initialization: {url: x, deep: {k: 1}}}, retry: {max_attempts: 3}}, \
             {name: b, dependencies: [a], inputs: {total: a.sum}}]",
        );
        let new = template(
            "name: t\nversion: 1.1.0\nsteps: [{name: z}, {name: a, handler: {callable: a, initialization: {deep: {k: 2}}}, retry: {max_attempts: 5}}, \
             {name: b, dependencies: [a], inputs: {total: a.sum}}]",
        );
        let diff = old.diff(&new);
        assert_eq!(
            diff.keys,
            [KeyChange { key: "version".to_owned(), old: Some(json!("1.0.0")), new: Some(json!("1.1.0")) }]
        );
        let told = serde_json::to_value(&diff.changed).expect("it is JSON");
        assert_eq!(
            told,
            json!([{ "step": "a", "keys": [
                { "key": "handler.initialization.deep.k", "old": 1, "new": 2 },
                { "key": "handler.initialization.url", "old": "x" },
                { "key": "retry.max_attempts", "old": 3, "new": 5 },
            ] }]),
            "the number of `a` in the inputs of `b` is nobody's business"
        );
    }

    #[test]
    fn what_says_the_same_in_other_words_is_the_same_and_another_order_is_told() {
        let old = template("name: t\nsteps: [{name: a}, {name: b}]");
        assert!(old.diff(&template("# words\nsteps:\n- {name: a, dependencies: []}\n- name: b\nname: t")).is_empty());
        let turned = old.diff(&template("name: t\nsteps: [{name: b}, {name: a}]"));
        assert_eq!(turned, TemplateDiff { reordered: true, ..TemplateDiff::default() });
    }
}
