//! The steps of one name in all stored templates, as databases look for them: by the numbers that they have in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TaskFilter;
use crate::core::{Named, Pinned, TemplateId};

/// A part of the name of a step that stands in the text of every template that has it: of a worker's, the name of the one that
/// it is made after.
pub(super) fn in_template(step: &str) -> &str {
    match step.rsplit_once('_') {
        Some((of, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => of,
        _ => step,
    }
}

/// Which templates have a step of the name that is asked for, by the numbers that it has in them.
#[derive(Debug, Default)]
pub(super) struct StepsNamed(BTreeMap<Named, Vec<TemplateId>>);

impl StepsNamed {
    /// Takes a template in, where tasks of it can be meant.
    pub(super) fn add(&mut self, pinned: &Arc<Pinned>, filter: &TaskFilter) {
        let named = filter.step.as_ref().and_then(|step| pinned.named(step));
        if let Some(named) = named.filter(|_| filter.admits_template(pinned)) {
            self.0.entry(named).or_default().push(pinned.id);
        }
    }

    /// Whether no template has such a step.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The condition that `r` is such a step of the task `t`. Nothing but numbers that the database gave is written into it.
    pub(super) fn condition(&self) -> String {
        let mut any = Vec::with_capacity(self.0.len());
        for (Named { first, stride }, templates) in &self.0 {
            let ids: Vec<String> = templates.iter().map(|id| id.0.to_string()).collect();
            let number = match stride {
                0 => format!("r.number = {first}"),
                _ => format!("r.number >= {first} AND (r.number - {first}) % {stride} = 0"),
            };
            any.push(format!("t.template IN ({}) AND {number}", ids.join(", ")));
        }
        format!("({})", any.join(" OR "))
    }
}
