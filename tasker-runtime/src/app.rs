//! The application: what a program is made of, and the command line that runs it.

pub(crate) mod project;
pub(crate) mod settings;
pub(crate) mod templates;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use self::settings::Defaults;
use self::templates::Embedded;
use crate::event::{EventRegistry, FromEvent, StepEventPublisher, Subscriber, SubscriberReturn};
use crate::handler::{AppState, Layer, RustStepHandlerRegistry};

/// An application that is being put together; see [`app`].
#[must_use = "an application does nothing until it is run"]
#[derive(Default)]
pub struct App {
    pub(crate) state: AppState,
    pub(crate) layers: Vec<Arc<dyn Layer>>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) publishers: Vec<(Arc<dyn StepEventPublisher>, String)>,
    pub(crate) defaults: Defaults,
    pub(crate) embedded: Vec<Embedded>,
    pub(crate) registry: Option<RustStepHandlerRegistry>,
    pub(crate) demo: Option<Demo>,
}

/// A workflow that the command `demo` runs, on a database of its own.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Its handlers.
    pub handlers: RustStepHandlerRegistry,
    /// The name of the template's file, for messages.
    pub file_name: &'static str,
    /// The template.
    pub template: &'static str,
    /// What each task is submitted with, as JSON, and what the demo says before it.
    pub tasks: &'static [(&'static str, &'static str)],
}

/// Starts to put an application together.
///
/// ```no_run
/// # struct Gateway;
/// # use std::process::ExitCode;
/// # use tasker_runtime as tasker;
/// fn main() -> ExitCode {
///     tasker::app::app().state(Gateway).templates("templates").run()
/// }
/// ```
pub fn app() -> App {
    App::default()
}

impl App {
    /// Shares a value with the handlers; they take it with `#[state]`. There is one value of each type.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(value);
        self
    }

    /// Puts something around every attempt; the first one is the outermost.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Gives events to a closure. The database keeps under its name what it was given; `pattern` is the name of an event,
    /// `order.*` for all that begin so, or `*`. What the closure takes is anything that is
    /// [`FromEvent`].
    ///
    /// ```no_run
    /// # use std::process::ExitCode;
    /// # use tasker_runtime as tasker;
    /// # use tasker_types::StepEvent;
    /// fn main() -> ExitCode {
    ///     tasker::app::app()
    ///         .on_event("mailer", "order.*", |event: StepEvent| async move {
    ///             println!("{} of task {}", event.name, event.context.task_uuid);
    ///         })
    ///         .run()
    /// }
    /// ```
    ///
    /// # Panics
    /// The pattern can match nothing, or the name is none.
    #[track_caller]
    pub fn on_event<E, F, R>(mut self, name: &str, pattern: &str, run: F) -> Self
    where
        E: FromEvent,
        F: Fn(E) -> R + Send + Sync + 'static,
        R: Future<Output: SubscriberReturn> + Send + 'static,
    {
        self.subscribers.push(Subscriber::new(name, pattern, run));
        self
    }

    /// Adds a publisher, which templates name under `publishes_events`.
    #[track_caller]
    pub fn publisher(mut self, publisher: impl StepEventPublisher + 'static) -> Self {
        let caller = std::panic::Location::caller();
        self.publishers.push((Arc::new(publisher), format!("{}:{}", caller.file(), caller.line())));
        self
    }

    /// Everyone who is linked in or was added.
    pub(crate) fn take_events(&mut self) -> EventRegistry {
        let mut events = EventRegistry::linked();
        self.subscribers.drain(..).for_each(|subscriber| events.add_subscriber(subscriber));
        self.publishers.drain(..).for_each(|(publisher, place)| events.add_publisher(publisher, place));
        events
    }

    /// The folder of templates: every `.yaml`, `.yml` and `.json` file in it, by name. It may be missing.
    ///
    /// A relative path starts at the folder of the nearest `tasker.toml`, else at the current one, else, where Cargo
    /// runs the program, at the package's.
    pub fn templates(mut self, folder: impl Into<PathBuf>) -> Self {
        self.defaults.templates = Some(folder.into());
        self
    }

    /// A template that is part of the program: `.template("order.yaml", include_str!("order.yaml"))`. The file's name
    /// is only for messages.
    pub fn template(mut self, file_name: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        self.embedded.push(Embedded { file_name: file_name.into(), text: text.into() });
        self
    }

    /// The handlers, in place of those that are linked into the program.
    pub fn handlers(mut self, registry: RustStepHandlerRegistry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// How many steps run at once; 256 where nothing says otherwise.
    pub fn slots(mut self, slots: usize) -> Self {
        self.defaults.options.slots = slots.max(1);
        self
    }

    /// How long a stopping worker waits for its handlers; 25 seconds where nothing says otherwise.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.defaults.options.drain = drain;
        self
    }

    /// How long a handler may go on after its task was cancelled; 5 seconds where nothing says otherwise.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.defaults.options.cancel_grace = grace;
        self
    }

    /// How long finished tasks are kept; 30 days where nothing says otherwise, for ever where this is `None`.
    pub fn retention(mut self, retention: impl Into<Option<Duration>>) -> Self {
        self.defaults.options.retention = retention.into();
        self
    }

    /// The workflow that the command `demo` runs.
    pub fn demo(mut self, demo: Demo) -> Self {
        self.demo = Some(demo);
        self
    }

    /// Runs the command that the program's arguments say. What it returns is what `main` returns.
    #[must_use = "`main` returns it: it tells scripts what became of the command"]
    pub fn run(self) -> ExitCode {
        crate::cli::main(self)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("state", &self.state)
            .field("layers", &self.layers.len())
            .field("defaults", &self.defaults)
            .field("demo", &self.demo.is_some())
            .finish_non_exhaustive()
    }
}

/// The whole `main` of an application: its linked handlers, the templates in `templates/`, and the command line.
///
/// ```no_run
/// # use tasker_runtime as tasker;
/// tasker::main!();
/// ```
#[macro_export]
macro_rules! main {
    () => {
        fn main() -> ::std::process::ExitCode {
            $crate::app::app().templates("templates").run()
        }
    };
}
