//! Finds the handler that a template names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::report::{NeededHandler, Problem, StartupReport};
use super::{AppState, HandlerEntry, RustStepHandler, StepHandlerConfig};

type Factory = Arc<dyn Fn(StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>> + Send + Sync>;

/// The handlers of this process, by name.
///
/// ```
/// use tasker_runtime::handler::RustStepHandlerRegistry;
/// # use tasker_runtime::handler::{RustStepHandler, StepHandlerConfig};
/// # use tasker_types::{StepExecutionResult, TaskSequenceStep};
/// # struct MyHandler;
/// # #[async_trait::async_trait]
/// # impl RustStepHandler for MyHandler {
/// #     fn new(_: StepHandlerConfig) -> Self { Self }
/// #     fn name(&self) -> &str { "my_handler" }
/// #     async fn call(&self, _: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> { unreachable!() }
/// # }
///
/// let mut registry = RustStepHandlerRegistry::new(); // every linked `#[step_handler]` is in it
/// registry.register_handler("my_handler", |config| Box::new(MyHandler::new(config)));
/// assert!(registry.is_registered("my_handler"));
/// assert_eq!(registry.get_handler("my_handler").unwrap().name(), "my_handler");
/// ```
#[derive(Clone)]
pub struct RustStepHandlerRegistry {
    handlers: BTreeMap<String, Registered>,
    /// Further names, each with the name of its handler.
    aliases: BTreeMap<String, String>,
    /// The names of the handlers that a Rust name stands for.
    rust_names: BTreeMap<&'static str, BTreeSet<String>>,
    /// Names that several linked handlers claim, and who they are.
    duplicates: BTreeMap<String, Vec<&'static HandlerEntry>>,
    /// Linked handlers that could not be made to learn their name, and why.
    nameless: Vec<(&'static HandlerEntry, String)>,
}

#[derive(Clone)]
struct Registered {
    factory: Factory,
    entry: Option<&'static HandlerEntry>,
}

/// The linked handlers, as [`RustStepHandlerRegistry::new`] gives them.
impl Default for RustStepHandlerRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl RustStepHandlerRegistry {
    /// The handlers that are linked into this binary. Names that several of them claim are not an error here: see
    /// [`problems`](Self::problems).
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Self::empty();
        for entry in inventory::iter::<HandlerEntry> {
            registry.add(entry);
        }
        registry
    }

    /// No handler at all: for tests, and for binaries that register each by hand.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            handlers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            rust_names: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            nameless: Vec::new(),
        }
    }

    /// Checks that every linked handler can be made. Linked handlers need no registration: this is for programs that
    /// want to fail early, before they start a worker.
    ///
    /// # Errors
    /// Names are claimed twice, or a handler cannot be made with an empty `initialization`.
    #[allow(clippy::unused_async, reason = "the documented form of the call awaits it")]
    pub async fn register_all_handlers() -> anyhow::Result<()> {
        let registry = Self::new();
        let mut report = StartupReport::default();
        registry.report_names(&mut report);
        for (name, registered) in &registry.handlers {
            if let Err(error) = build(&registered.factory, StepHandlerConfig::default()) {
                report.push(Problem::Unbuildable {
                    handler: name.clone(),
                    place: registered.place(),
                    reason: format!("{error:#}"),
                });
            }
        }
        Ok(report.into_result()?)
    }

    /// Adds a handler that needs no configuration. It replaces a handler of the same name.
    pub fn register<F>(&mut self, name: &str, factory: F)
    where
        F: Fn() -> Box<dyn RustStepHandler> + Send + Sync + 'static,
    {
        self.register_handler(name, move |_| factory());
    }

    /// Adds a handler that is made with a template's `initialization`. It replaces a handler of the same name.
    pub fn register_handler<F>(&mut self, name: &str, factory: F)
    where
        F: Fn(StepHandlerConfig) -> Box<dyn RustStepHandler> + Send + Sync + 'static,
    {
        self.duplicates.remove(name);
        self.aliases.remove(name);
        let factory: Factory = Arc::new(move |config| Ok(factory(config)));
        self.handlers.insert(name.to_owned(), Registered { factory, entry: None });
    }

    /// Adds a handler that `#[step_handler]` describes; where its names are taken already, that is a duplicate.
    pub fn add(&mut self, entry: &'static HandlerEntry) {
        let name = match name_of(entry) {
            Ok(name) => name,
            Err(reason) => return self.nameless.push((entry, reason)),
        };
        for taken in std::iter::once(name.as_str()).chain(entry.aliases.iter().copied()) {
            if let Some(first) = self.resolve_name(taken).and_then(|name| self.handlers.get(name)?.entry) {
                let claims = self.duplicates.entry(taken.to_owned()).or_insert_with(|| vec![first]);
                if !claims.iter().any(|claim| std::ptr::eq(*claim, entry)) {
                    claims.push(entry);
                }
            }
        }
        for alias in entry.aliases {
            self.aliases.entry((*alias).to_owned()).or_insert_with(|| name.clone());
        }
        self.rust_names.entry(entry.rust_name).or_default().insert(name.clone());
        self.handlers
            .entry(name)
            .or_insert_with(|| Registered { factory: Arc::new(entry.factory), entry: Some(entry) });
    }

    /// Makes the handler of this name or alias, with an empty `initialization`.
    #[must_use]
    pub fn get_handler(&self, name: &str) -> Option<Box<dyn RustStepHandler>> {
        let registered = self.handlers.get(self.resolve_name(name)?)?;
        build(&registered.factory, StepHandlerConfig::default()).ok()
    }

    /// The same as [`get_handler`](Self::get_handler).
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Box<dyn RustStepHandler>> {
        self.get_handler(name)
    }

    /// Whether there is a handler of this name or alias.
    #[must_use]
    pub fn is_registered(&self, name: &str) -> bool {
        self.resolve_name(name).is_some()
    }

    /// The names of all handlers, sorted.
    #[must_use]
    pub fn list_handlers(&self) -> Vec<String> {
        self.handlers.keys().cloned().collect()
    }

    /// What is known of the handler of this name or alias, if `#[step_handler]` made it.
    #[must_use]
    pub fn find_entry(&self, name: &str) -> Option<&'static HandlerEntry> {
        self.handlers.get(self.resolve_name(name)?)?.entry
    }

    /// The handler that a template's `callable` means, for the step `step_name`.
    ///
    /// The name itself comes first, then a further name; a Rust path (`rust::orders::ValidateOrder`) then stands for
    /// the handler whose function or type has its last segment as its name, and at last for the handler with the name
    /// of the step, which is a guess that [`Resolved::warning`] tells.
    #[must_use]
    pub fn find(&self, callable: &str, step_name: &str) -> Option<Resolved> {
        let (name, found_by) = self.find_name(callable, step_name)?;
        let registered = self.handlers.get(name)?;
        Some(Resolved {
            name: name.to_owned(),
            callable: callable.to_owned(),
            found_by,
            entry: registered.entry,
            factory: Arc::clone(&registered.factory),
        })
    }

    fn find_name<'r>(&'r self, callable: &str, step_name: &str) -> Option<(&'r str, FoundBy)> {
        if let Some((name, _)) = self.handlers.get_key_value(callable) {
            return Some((name, FoundBy::Name));
        }
        if let Some(name) = self.aliases.get(callable) {
            return Some((name, FoundBy::Alias));
        }
        let (_, last) = callable.rsplit_once("::")?;
        if let Some(names) = self.rust_names.get(last)
            && names.len() == 1
            && let Some(name) = names.first()
        {
            return Some((name, FoundBy::RustName));
        }
        let (name, _) = self.handlers.get_key_value(step_name)?;
        Some((name, FoundBy::StepName))
    }

    fn resolve_name<'r>(&'r self, name: &str) -> Option<&'r str> {
        let direct = self.handlers.get_key_value(name).map(|(name, _)| name.as_str());
        direct.or_else(|| self.aliases.get(name).map(String::as_str))
    }

    /// Everything that would keep this binary from running what it is asked to: names claimed twice, state that a
    /// handler takes and the application does not have, handlers that a template needs and nobody wrote.
    #[must_use]
    pub fn problems(&self, state: &AppState, needed: &[NeededHandler]) -> StartupReport {
        let mut report = StartupReport::default();
        self.report_names(&mut report);
        for (name, registered) in &self.handlers {
            let Some(entry) = registered.entry else {
                continue;
            };
            for need in entry.state.iter().filter(|need| !(need.present)(state)) {
                report.push(Problem::MissingState {
                    handler: name.clone(),
                    place: entry.place(),
                    type_name: (need.type_name)(),
                });
            }
        }
        self.report_missing(needed, &mut report);
        report
    }

    fn report_missing(&self, needed: &[NeededHandler], report: &mut StartupReport) {
        let mut said = BTreeSet::new();
        for need in needed {
            if self.find_name(&need.callable, &need.step).is_none() && said.insert((&need.template, &need.callable)) {
                report.push(Problem::MissingHandler { needed: need.clone(), present: self.list_handlers() });
            }
        }
    }

    /// The handlers of `needed` that nobody wrote, as a report of only those.
    #[must_use]
    pub fn problems_of(&self, needed: &[NeededHandler]) -> StartupReport {
        let mut report = StartupReport::default();
        self.report_missing(needed, &mut report);
        report
    }

    fn report_names(&self, report: &mut StartupReport) {
        for (name, claims) in &self.duplicates {
            report.push(Problem::Duplicate {
                name: name.clone(),
                places: claims.iter().map(|entry| entry.place()).collect(),
            });
        }
        for (entry, reason) in &self.nameless {
            report.push(Problem::Unbuildable {
                handler: entry.rust_name.to_owned(),
                place: entry.place(),
                reason: reason.clone(),
            });
        }
    }
}

impl Registered {
    fn place(&self) -> String {
        self.entry.map_or_else(|| "registered by hand".to_owned(), HandlerEntry::place)
    }
}

fn build(factory: &Factory, config: StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>> {
    factory(config)
}

/// The name of a handler; one that was registered without a name is made once, and asked.
fn name_of(entry: &HandlerEntry) -> Result<String, String> {
    if !entry.name.is_empty() {
        return Ok(entry.name.to_owned());
    }
    match (entry.factory)(StepHandlerConfig::default()) {
        Ok(handler) => Ok(handler.name().to_owned()),
        Err(error) => Err(format!(
            "{error:#}; to register it without making it, give its name: `register_handler!(\"name\", {})`",
            entry.rust_name
        )),
    }
}

impl fmt::Debug for RustStepHandlerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustStepHandlerRegistry")
            .field("handlers", &self.handlers.keys())
            .field("aliases", &self.aliases)
            .finish()
    }
}

/// How a `callable` led to its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoundBy {
    /// It is the handler's name.
    Name,
    /// It is one of the handler's further names.
    Alias,
    /// It is a Rust path that ends with the name of the handler's function or type.
    RustName,
    /// It is a Rust path that nothing is known of, and the handler has the name of the step.
    StepName,
}

/// The handler that a template's `callable` means.
#[derive(Clone)]
pub struct Resolved {
    name: String,
    callable: String,
    found_by: FoundBy,
    entry: Option<&'static HandlerEntry>,
    factory: Factory,
}

impl Resolved {
    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it was found.
    #[must_use]
    pub fn found_by(&self) -> FoundBy {
        self.found_by
    }

    /// What is known of it, if `#[step_handler]` made it.
    #[must_use]
    pub fn entry(&self) -> Option<&'static HandlerEntry> {
        self.entry
    }

    /// What the template's author should know: that the handler was guessed.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        (self.found_by == FoundBy::StepName).then(|| {
            format!(
                "there is no handler `{}`; the step runs the handler `{}`, which has its name: write `callable: {}`",
                self.callable, self.name, self.name
            )
        })
    }

    /// Makes the handler.
    ///
    /// # Errors
    /// The handler refuses this `initialization`.
    pub fn build(&self, config: StepHandlerConfig) -> anyhow::Result<Box<dyn RustStepHandler>> {
        build(&self.factory, config)
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved").field("name", &self.name).field("found_by", &self.found_by).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
