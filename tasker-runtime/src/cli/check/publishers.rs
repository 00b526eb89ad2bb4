//! Whether the publishers that templates name are in this program.

use tasker_types::suggest::nearest;
use tasker_types::template::codes::Code;
use tasker_types::template::{Finding, Severity};

use super::super::Context;
use super::Report;
use crate::app::templates::Loaded;
use crate::event::MissingPublisher;

/// An event's publisher is not in this program.
const NO_PUBLISHER: Code =
    Code { code: "E216", severity: Severity::Error, title: "a publisher that is not in this program", explanation: "" };

impl Report {
    /// Whether every publisher that the template names is in this program.
    pub(super) fn publishers(&mut self, context: &Context, loaded: &Loaded) {
        // The stock binary checks templates of any program.
        if context.registry.list_handlers().is_empty() {
            return;
        }
        for missing in context.events.missing(&loaded.parsed.template) {
            let place = &loaded.parsed.places[missing.step];
            let at = place.publishers.get(missing.event).copied().flatten().unwrap_or(place.name);
            let finding = Finding::new(&NO_PUBLISHER, missing.to_string())
                .with_label("no such publisher")
                .with_help(help(context, missing));
            self.finding(&loaded.file, &loaded.source, &finding.at(at));
        }
    }
}

fn help(context: &Context, missing: MissingPublisher<'_>) -> String {
    match nearest(missing.name, context.events.publisher_names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "register it with `register_publisher!` or `.publisher(..)`; without the key, the step's result is the payload"
                .to_owned()
        }
    }
}
