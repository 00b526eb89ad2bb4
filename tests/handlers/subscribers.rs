//! What `#[event_subscriber]` says of a function, and what the function is given.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tasker::testing::TestApp;
use tasker::{
    EventRegistry, RustStepHandlerRegistry, StepEvent, StepEventContext, Subscriber, TaskRequest, event_subscriber,
    step_handler,
};
use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::handler::AppState;
use tasker_runtime::store::{MemoryStore, Store};
use tasker_types::{StepNumber, TaskId, Timestamp, template};

const YAML: &str = "
name: parcel
namespace_name: post
steps:
  - { name: send_parcel, publishes_events: [{ name: parcel.sent }, { name: parcel.weighed }] }
  - { name: return_parcel, dependencies: [send_parcel], publishes_events: [{ name: parcel.returned }] }
";

/// What subscribers were given.
#[derive(Clone, Default)]
struct Shelf {
    archive: Arc<Mutex<Vec<StepEventContext>>>,
    desk: Arc<Mutex<Vec<(String, String)>>>,
}

#[step_handler]
async fn send_parcel() -> Value {
    json!({ "weight": 7 })
}

#[step_handler]
async fn return_parcel() -> &'static str {
    "nobody was there"
}

/// Two of the three events, from the beginning on, under a name of its own.
#[event_subscriber(event = "parcel.sent", event = "parcel.returned", name = "archive", from = "oldest")]
async fn keep_for_years(step: StepEventContext, #[state] shelf: &Shelf) {
    shelf.archive.lock().unwrap().push(step);
}

/// All three, as long as it is there.
#[event_subscriber(event = "parcel.*")]
async fn desk(#[state] shelf: &Shelf, event: StepEvent) -> anyhow::Result<()> {
    shelf.desk.lock().unwrap().push((event.context.task_uuid, event.name));
    Ok(())
}

#[test]
fn the_attribute_says_what_a_subscriber_is_called_and_which_events_it_takes() {
    let registry = EventRegistry::linked();
    let said =
        |subscriber: &Subscriber| (subscriber.name.to_string(), subscriber.patterns.clone(), subscriber.from_oldest);
    let patterns = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        registry.subscribers().map(said).collect::<Vec<_>>(),
        [
            ("archive".to_owned(), patterns(&["parcel.sent", "parcel.returned"]), true),
            ("desk".to_owned(), patterns(&["parcel.*"]), false),
        ]
    );
}

#[test]
fn state_that_a_subscriber_lacks_is_told_by_its_name_and_type() {
    let (registry, mut state) = (EventRegistry::linked(), AppState::default());
    let told = ["archive", "desk"]
        .map(|name| format!("event subscriber `{name}` needs state of type `handlers::subscribers::Shelf`"));
    assert_eq!(registry.problems(&state), told);
    state.insert(Shelf::default());
    assert_eq!(registry.problems(&state), [""; 0]);
}

#[tokio::test]
#[should_panic(expected = "event subscriber `archive` needs state of type `handlers::subscribers::Shelf`")]
async fn a_program_whose_subscriber_lacks_its_state_does_not_start() {
    TestApp::new().template(YAML).run("parcel", json!({})).await;
}

/// A worker on this store.
async fn worker(store: &Arc<MemoryStore>, events: EventRegistry, shelf: &Shelf) -> Engine {
    let mut state = AppState::default();
    state.insert(shelf.clone());
    let engine = Engine::start(Parts {
        store: store.clone(),
        registry: Arc::new(RustStepHandlerRegistry::new()),
        state: Arc::new(state),
        layers: Arc::new([]),
        events: Arc::new(events),
        clock: Clock::starting_at(Timestamp::from_micros(1_900_000_000_000_000)),
        ids: Ids::default(),
        threads: HandlerThreads::shared(),
        options: Options::default(),
    });
    engine.add_template(template::parse("parcel.yaml", YAML).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

/// A parcel that was sent and came back.
async fn parcel(engine: &Engine) -> TaskId {
    let (name, namespace) = ("parcel".to_owned(), "post".to_owned());
    let task = engine.submit(TaskRequest { name, namespace, ..TaskRequest::default() }).await.unwrap();
    engine.wait(task).await.unwrap();
    // Virtual time: whoever is due an event is given it.
    tokio::time::sleep(Duration::from_secs(5)).await;
    task
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_is_given_what_was_stored_before_it_came_where_it_says_so() {
    let (store, shelf) = (Arc::new(MemoryStore::new()), Shelf::default());
    let engine = worker(&store, EventRegistry::default(), &shelf).await;
    let before = parcel(&engine).await;
    engine.stop().await;
    let engine = worker(&store, EventRegistry::linked(), &shelf).await;
    let after = parcel(&engine).await;
    engine.stop().await;

    let mut archived = shelf.archive.lock().unwrap().clone();
    archived.sort_by(|one, other| (&one.task_uuid, &one.step_uuid).cmp(&(&other.task_uuid, &other.step_uuid)));
    assert_eq!(archived.len(), 4, "{archived:?}");
    let results = [("weight", json!(7)), ("value", json!("nobody was there"))];
    for (given, expected) in archived.into_iter().zip([before, after].into_iter().flat_map(|task| {
        let steps = [(0, "send_parcel"), (1, "return_parcel")];
        steps.into_iter().zip(&results).map(move |((number, step), (key, value))| (task, number, step, *key, value))
    })) {
        let (task, number, step, key, value) = expected;
        let correlation_id = &store.find_task(task).await.unwrap().unwrap().input.correlation_id;
        let result = Some([(key.to_owned(), value.clone())].into());
        let expected = StepEventContext {
            task_uuid: task.to_string(),
            step_uuid: task.step_uuid(StepNumber(number)).to_string(),
            step_name: step.to_owned(),
            namespace: "post".to_owned(),
            correlation_id: correlation_id.clone(),
            result,
            metadata: None,
        };
        assert_eq!(given, expected);
    }
    let of_after =
        ["parcel.sent", "parcel.weighed", "parcel.returned"].map(|name| (after.to_string(), name.to_owned()));
    assert_eq!(*shelf.desk.lock().unwrap(), of_after);
}
