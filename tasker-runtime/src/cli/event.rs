//! `event`: what tasks published, who was not given it yet, and what is done about a subscriber that is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tasker_types::{Timestamp, WorkerId};

use super::args::{Event, EventList, Format, OneSubscriber};
use super::database::Database;
use super::exit::Exit;
use super::human;
use super::problem::Problem;
use super::run::who;
use super::screen::{BAD, BOLD, DIM, GOOD, WARN};
use super::session::{Missing, open_store};
use super::table::{Cell, Table};
use super::task::lines;
use super::{Context, Outcome, ids};
use crate::core::Pinned;
use crate::engine::{Clock, Error};
use crate::store::{EventView, StoreError, SubscriberView};

/// The most letters of an error in a table.
const ERROR_MAX: usize = 60;
/// An event that was not delivered for so long has been forgotten by whoever was to take it.
const OLD: Duration = Duration::from_secs(24 * 3600);

/// Runs the command.
pub(crate) async fn run(context: Context, verb: Event) -> Outcome {
    match verb {
        Event::List(args) => list(&context, &args).await,
        Event::Subscribers => subscribers(&context).await,
        Event::Forget(args) => forget(&context, &args).await,
    }
}

async fn list(context: &Context, args: &EventList) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let id = ids::find(&*store, &args.task).await?;
    let events = store.events_of(id, args.after, args.limit).await?;
    match context.screen.format() {
        Format::Table if events.is_empty() => context.screen.status("no event of this task is stored"),
        Format::Table => {
            let view = store.find_task(id).await?.ok_or_else(|| Error::NoTask(id.to_string()))?;
            let now = Clock::System.now();
            let mut table = Table::new(&["POSITION", "EVENT", "STEP", "ATTEMPT", "WHEN", "NOT YET GIVEN TO"]);
            for event in &events {
                let attempt = event.row.attempt;
                table.row([
                    event.position.to_string().into(),
                    human::visible(&event.row.name).into(),
                    step_of(event, &view.row.pinned).unwrap_or_default().into(),
                    if attempt == 0 { String::new() } else { attempt.to_string() }.into(),
                    Cell::styled(human::ago(event.row.at, now), DIM),
                    Cell::styled(human::visible(&event.undelivered.join(", ")), WARN),
                ]);
            }
            context.screen.data(table)?;
            tell_later(context, &store, args, id, &events).await?;
        }
        Format::Id if events.is_empty() => {}
        Format::Id => context.screen.data(lines(events.iter().map(|event| event.position)))?,
        _ => {
            let view = store.find_task(id).await?.ok_or_else(|| Error::NoTask(id.to_string()))?;
            let documents: Result<Vec<Value>, Problem> =
                events.iter().map(|event| document(event, &view.row.pinned)).collect();
            context.screen.documents(&documents?)?;
        }
    }
    Ok(Exit::Ok)
}

/// Where the list was cut, how it goes on.
async fn tell_later(
    context: &Context,
    store: &Database,
    args: &EventList,
    task: tasker_types::TaskId,
    events: &[EventView],
) -> Result<(), Problem> {
    let cut = events.len() >= usize::try_from(args.limit).unwrap_or(usize::MAX);
    if let Some(last) = events.last().filter(|_| cut) {
        let more = format!("event list {} --after {}", ids::short(&**store, task).await?, last.position);
        context.screen.status(format!("{DIM}later ones: `{}`{DIM:#}", context.program.command(&more)));
    }
    Ok(())
}

fn step_of(event: &EventView, pinned: &Pinned) -> Option<String> {
    event.row.number.map(|number| human::visible(&pinned.name(number)))
}

/// An event as a subscriber is given it, and to whom it is still due.
fn document(event: &EventView, pinned: &Pinned) -> Result<Value, Problem> {
    let row = &event.row;
    let payload: Option<Value> = row
        .says()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| StoreError::Corrupt(format!("what an event says cannot be read: {error}")))?;
    Ok(json!({
        "position": event.position,
        "name": &*row.name,
        "step": row.number.map(|number| pinned.name(number).to_string()),
        "attempt": row.attempt,
        "published_at": row.at,
        "payload": payload,
        "undelivered": event.undelivered,
    }))
}

/// How a subscriber stands, and who gives it its events.
pub(super) struct Standing {
    pub(super) view: SubscriberView,
    /// The worker that does, by its label.
    pub(super) given_by: Option<String>,
}

impl Standing {
    /// All subscribers, by name.
    pub(super) async fn all(store: &Database) -> Result<Vec<Self>, Problem> {
        let views = store.subscribers().await?;
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let workers = store.live_workers().await?;
        let labels: BTreeMap<WorkerId, String> = workers.into_iter().map(|worker| (worker.id, worker.label)).collect();
        let standing = |view: SubscriberView| {
            let given_by = view.held_by.and_then(|worker| labels.get(&worker)).cloned();
            Self { view, given_by }
        };
        Ok(views.into_iter().map(standing).collect())
    }

    /// Whether the oldest event that it was not given is so old that nobody will care for it by themselves.
    pub(super) fn is_behind(&self, now: Timestamp) -> bool {
        self.view.oldest.is_some_and(|at| now.since(at) >= OLD)
    }

    fn row(&self, now: Timestamp) -> [Cell; 7] {
        let view = &self.view;
        let (mark, style) = match () {
            () if view.failing > 0 => ('✖', BAD),
            () if self.is_behind(now) || self.given_by.is_none() && view.undelivered > 0 => ('!', WARN),
            () => ('✔', GOOD),
        };
        let error = view.last_error.as_deref().unwrap_or_default();
        let mut error: String = human::visible(error).chars().take(ERROR_MAX + 1).collect();
        if error.chars().count() > ERROR_MAX {
            error.pop();
            error.push('…');
        }
        [
            Cell::styled(format!("{mark} {}", human::visible(&view.name)), style),
            human::visible(&view.patterns.join(", ")).into(),
            self.given_by.as_deref().map_or_else(|| Cell::styled("nobody", DIM), |by| human::visible(by).into()),
            view.undelivered.to_string().into(),
            view.failing.to_string().into(),
            Cell::styled(view.oldest.map(|at| human::ago(at, now)).unwrap_or_default(), DIM),
            error.into(),
        ]
    }

    fn document(&self) -> Value {
        let SubscriberView { name, patterns, since, undelivered, failing, oldest, last_error, .. } = &self.view;
        json!({
            "name": name,
            "patterns": patterns,
            "since": since,
            "given_by": self.given_by,
            "undelivered": undelivered,
            "failing": failing,
            "oldest": oldest,
            "last_error": last_error,
        })
    }
}

async fn subscribers(context: &Context) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let all = Standing::all(&store).await?;
    let now = Clock::System.now();
    match context.screen.format() {
        Format::Table if all.is_empty() => {
            context.screen.status("no program has subscribed to events of this database");
        }
        Format::Table => {
            let header = ["  SUBSCRIBER", "EVENTS", "GIVEN BY", "UNDELIVERED", "FAILING", "OLDEST", "LAST ERROR"];
            let mut table = Table::new(&header);
            all.iter().for_each(|standing| table.row(standing.row(now)));
            context.screen.data(table)?;
            if all.iter().any(|standing| standing.given_by.is_none() && standing.view.undelivered > 0) {
                let forget = context.program.command("event forget <NAME>");
                let hint = (forget, "forget one that no program has any more, and let its tasks be pruned");
                context.screen.status(context.screen.commands(&[hint]));
            }
        }
        Format::Id if all.is_empty() => {}
        Format::Id => context.screen.data(lines(all.iter().map(|standing| &standing.view.name)))?,
        _ => context.screen.documents(&all.iter().map(Standing::document).collect::<Vec<_>>())?,
    }
    Ok(Exit::Ok)
}

async fn forget(context: &Context, args: &OneSubscriber) -> Outcome {
    let store = open_store(context, Missing::Refuse).await?;
    let all = Standing::all(&store).await?;
    let name = human::visible(&args.name);
    let Some(standing) = all.iter().find(|standing| standing.view.name == args.name) else {
        let problem = Problem::new("E328", format!("there is no subscriber `{name}`"));
        let near = tasker_types::suggest::nearest(&args.name, all.iter().map(|standing| standing.view.name.as_str()));
        return Err(match near {
            Some(near) => problem.with_help(format!("did you mean `{}`?", human::visible(near))),
            None => problem.with_help(format!("`{}` lists them", context.program.command("event subscribers"))),
        });
    };
    if let Some(worker) = &standing.given_by {
        let message = format!("worker {} gives `{name}` its events: it is not gone", human::visible(worker));
        return Err(Problem::new("E329", message)
            .with_help("stop that program first, or start one without the subscriber; nothing was changed"));
    }
    let events = human::count(standing.view.undelivered, "event");
    if !context.yes {
        let what = format!("forget `{name}`, and drop {events} that it was not given");
        if !context.screen.can_ask() {
            return Err(Problem::new("E325", format!("nobody can be asked whether to {what}"))
                .with_help("look with `event subscribers`, and say --yes"));
        }
        if !context.agrees(&format!("{what}?"))? {
            context.screen.status("nothing was done");
            return Ok(Exit::Ok);
        }
    }
    // Another one may have forgotten it meanwhile.
    let dropped = store.unsubscribe(&args.name).await?.unwrap_or(0);
    tracing::info!(subscriber = args.name, dropped, actor = who(), "a subscriber was forgotten");
    match context.screen.format() {
        Format::Table => {
            let events = human::count(dropped, "event");
            context.screen.status(format!("{GOOD}✔{GOOD:#} forgot {BOLD}{name}{BOLD:#}; {events} dropped"));
        }
        Format::Id => context.screen.data(&args.name)?,
        _ => context.screen.document(&json!({ "name": args.name, "dropped": dropped }))?,
    }
    store.close().await?;
    Ok(Exit::Ok)
}
