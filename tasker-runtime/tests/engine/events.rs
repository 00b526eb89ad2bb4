//! Events reach those who subscribe to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::event::{Payload, StepEventPublisher};
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::TestApp;
use tasker_types::{LifecycleEvent, LifecycleKind, StepError, StepEvent, StepEventContext};

const ORDER: &str = "
name: order
namespace_name: shop
steps:
  - name: validate
    publishes_events: [{ name: order.validated }, { name: order.rejected, condition: permanent_failure }]
  - name: charge
    dependencies: [validate]
    retry: { max_attempts: 3 }
    publishes_events:
      - { name: order.charged }
      - { name: order.declined, condition: retryable_failure }
";

/// What a subscriber was given, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<StepEvent>>>);

impl Seen {
    fn push(&self, event: StepEvent) {
        self.0.lock().unwrap().push(event);
    }

    fn all(&self) -> Vec<StepEvent> {
        self.0.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|event| event.name).collect()
    }
}

fn app() -> TestApp {
    TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(ORDER)
        .mock("validate", |step| match step.get_input::<i64>("total")? {
            0 => Err(StepError::permanent("nothing to pay").into()),
            total => Ok(json!({ "total": total })),
        })
        .mock("charge", |step| match step.workflow_step.attempt {
            1 => Err(StepError::retryable("declined").with_code("DECLINED").into()),
            _ => Ok(json!(36)),
        })
}

async fn a_while(app: &TestApp) {
    app.skip(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_subscriber_is_given_the_events_of_a_task_in_their_order() {
    let seen = Seen::default();
    let here = seen.clone();
    let app = app().on_event("watch", "order.*", move |event: StepEvent| {
        let here = here.clone();
        async move { here.push(event) }
    });
    let run = app.run("order", json!({ "total": 7 })).await;
    a_while(&app).await;
    assert_eq!(seen.names(), ["order.validated", "order.declined", "order.charged"]);
    let [validated, declined, charged] = seen.all().try_into().unwrap();
    let StepEventContext { task_uuid, step_uuid, step_name, namespace, correlation_id, result, metadata } =
        validated.context;
    assert_eq!(task_uuid, run.view().row.id.to_string());
    assert_eq!(step_uuid, run.view().row.id.step_uuid(tasker_types::StepNumber(0)).to_string());
    assert_eq!((&*step_name, &*namespace), ("validate", "shop"));
    assert_eq!(correlation_id, run.view().input.correlation_id);
    assert_eq!((result, validated.payload), (Some([("total".to_owned(), json!(7))].into()), json!({ "total": 7 })));
    assert!(metadata.is_none());
    assert_eq!((declined.attempt, &declined.context.result), (1, &None));
    let metadata = declined.context.metadata.unwrap();
    assert_eq!((&metadata["error_code"], &metadata["retryable"]), (&json!("DECLINED"), &json!(true)));
    assert_eq!((charged.attempt, &charged.context.result.unwrap()["value"]), (2, &json!(36)));
    assert!(validated.position < declined.position && declined.position < charged.position);
}

#[tokio::test]
async fn a_subscriber_that_fails_is_given_the_event_again_and_never_fails_the_step() {
    let (seen, failures) = (Seen::default(), Arc::new(AtomicU32::new(0)));
    let (here, left) = (seen.clone(), failures.clone());
    let app = app().on_event("shaky", "order.*", move |event: StepEvent| {
        let (here, left) = (here.clone(), left.clone());
        async move {
            let name = event.name.clone();
            here.push(event);
            match left.fetch_add(1, Ordering::SeqCst) {
                0 => anyhow::bail!("not now"),
                1 => panic!("not now either"),
                _ if name == "order.declined" && left.load(Ordering::SeqCst) < 6 => anyhow::bail!("nor this one"),
                _ => Ok(()),
            }
        }
    });
    app.run("order", json!({ "total": 7 })).await.assert_completed();
    app.skip(Duration::from_secs(60)).await;
    let (v, d, c) = ("order.validated", "order.declined", "order.charged");
    assert_eq!(seen.names(), [v, v, v, d, d, d, c], "later events of the task wait");
    assert_eq!(seen.all().iter().map(|event| event.delivery).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 1]);
    let positions: Vec<_> = seen.all().iter().map(|event| event.position).collect();
    assert!(positions[0] == positions[2] && positions[0].is_some(), "{positions:?}");
}

#[tokio::test]
async fn a_task_whose_events_fail_does_not_hold_up_those_of_others() {
    let (seen, broken) = (Seen::default(), Arc::new(AtomicBool::new(true)));
    let (here, is_broken) = (seen.clone(), broken.clone());
    let app = app().on_event("picky", "order.*", move |event: StepEvent| {
        let (here, is_broken) = (here.clone(), is_broken.clone());
        async move {
            if event.payload["total"] == 13 && is_broken.load(Ordering::SeqCst) {
                anyhow::bail!("thirteen");
            }
            here.push(event);
            Ok(())
        }
    });
    let bad = app.run("order", json!({ "total": 13 })).await.view().row.id.to_string();
    app.skip(Duration::from_secs(30)).await;
    app.run("order", json!({ "total": 1 })).await;
    a_while(&app).await;
    assert_eq!(seen.names(), ["order.validated", "order.declined", "order.charged"]);
    assert!(seen.all().iter().all(|event| event.context.task_uuid != bad));
    broken.store(false, Ordering::SeqCst);
    app.skip(Duration::from_secs(600)).await;
    let of_bad: Vec<_> =
        seen.all().into_iter().filter(|event| event.context.task_uuid == bad).map(|e| e.name).collect();
    assert_eq!(of_bad, ["order.validated", "order.declined", "order.charged"]);
}

#[derive(serde::Deserialize)]
struct Total {
    total: i64,
}

#[tokio::test]
async fn a_payload_is_read_as_the_type_that_the_subscriber_takes() {
    let totals = Arc::new(Mutex::new(Vec::new()));
    let here = totals.clone();
    let app = app().on_event("totals", "order.validated", move |Payload(order): Payload<Total>| {
        let here = here.clone();
        async move { here.lock().unwrap().push(order.total) }
    });
    app.run("order", json!({ "total": 7 })).await;
    app.run("order", json!({ "total": 8 })).await;
    a_while(&app).await;
    assert_eq!(*totals.lock().unwrap(), [7, 8]);
}

#[tokio::test]
async fn lifecycle_events_are_given_typed() {
    let kinds = Arc::new(Mutex::new(BTreeMap::<String, Vec<LifecycleKind>>::new()));
    let here = kinds.clone();
    let app = app().on_event("watch", "tasker.*", move |event: LifecycleEvent| {
        let here = here.clone();
        async move { here.lock().unwrap().entry(event.event.context.task_uuid).or_default().push(event.kind) }
    });
    let good = app.run("order", json!({ "total": 7 })).await.view().row.id.to_string();
    let bad = app.run("order", json!({ "total": 0 })).await.view().row.id.to_string();
    a_while(&app).await;
    let kinds = kinds.lock().unwrap();
    use LifecycleKind::{StepCompleted, StepFailed, StepRetrying, TaskCompleted, TaskFailed};
    assert_eq!(kinds[&good], [StepCompleted, StepRetrying, StepCompleted, TaskCompleted]);
    assert_eq!(kinds[&bad], [StepFailed, TaskFailed]);
}

struct Receipt;

#[async_trait]
impl StepEventPublisher for Receipt {
    fn name(&self) -> &str {
        "receipt"
    }

    async fn publish(&self, event: &str, step: &StepEventContext) -> anyhow::Result<Option<Value>> {
        match step.result.as_ref().and_then(|result| result["total"].as_i64()) {
            Some(1) => Ok(None),
            Some(2) => anyhow::bail!("no receipt"),
            Some(3) => panic!("no receipt at all"),
            total => Ok(Some(json!({ "event": event, "paid": total, "step": step.step_name }))),
        }
    }
}

const PAID: &str = "
name: paid
steps:
  - { name: pay, publishes_events: [{ name: order.paid, publisher: receipt }] }
";

#[tokio::test]
async fn a_publisher_makes_the_payload_and_never_fails_the_step() {
    let seen = Seen::default();
    let here = seen.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(PAID)
        .mock("pay", |step| Ok(json!({ "total": step.get_input::<i64>("total")? })))
        .publisher(Receipt)
        .on_event("watch", "order.paid", move |event: StepEvent| {
            let here = here.clone();
            async move { here.push(event) }
        });
    for total in [7, 1, 2, 3] {
        app.run("paid", json!({ "total": total })).await.assert_completed();
    }
    a_while(&app).await;
    let payloads: Vec<_> = seen.all().into_iter().map(|event| event.payload).collect();
    let made = json!({ "event": "order.paid", "paid": 7, "step": "pay" });
    assert_eq!(payloads, [made, json!({ "total": 2 }), json!({ "total": 3 })], "one was kept back");
    let metadata = seen.all()[1].context.metadata.clone().unwrap();
    assert_eq!(metadata["publisher_failed"], true);
}

/// Makes its payload when a task would have run out of its time long ago.
struct Slow;

#[async_trait]
impl StepEventPublisher for Slow {
    fn name(&self) -> &str {
        "receipt"
    }

    async fn publish(&self, _: &str, _: &StepEventContext) -> anyhow::Result<Option<Value>> {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(Some(json!("at last")))
    }
}

#[tokio::test]
async fn the_time_limit_of_a_step_is_not_that_of_its_publishers() {
    let seen = Seen::default();
    let here = seen.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(PAID.replace("{ name: pay,", "{ name: pay, timeout_seconds: 1,"))
        .mock("pay", |_| Ok(json!({ "total": 7 })))
        .publisher(Slow)
        .on_event("watch", "order.paid", move |event: StepEvent| {
            let here = here.clone();
            async move { here.push(event) }
        });
    let run = app.run("paid", json!({})).await;
    run.assert_completed();
    assert_eq!(run.step("pay").attempt, 1);
    a_while(&app).await;
    assert_eq!(seen.all().into_iter().map(|event| event.payload).collect::<Vec<_>>(), [json!("at last")]);
}

#[tokio::test]
#[should_panic(expected = "template `paid`: step `pay` names publisher `receipt`, which this program does not have")]
async fn a_template_whose_publisher_is_missing_is_refused() {
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty()).template(PAID).mock("pay", |_| Ok(json!(1)));
    app.run("paid", json!({})).await;
}

#[tokio::test]
#[should_panic(expected = "event subscriber `twice` is registered twice")]
async fn two_subscribers_of_one_name_are_refused() {
    let app = app().on_event("twice", "*", |_: StepEvent| async {}).on_event("twice", "*", |_: StepEvent| async {});
    app.run("order", json!({ "total": 1 })).await;
}

const QUICK: &str = "
name: quick
steps:
  - name: tick
    publishes_events: [{ name: fast.tick, delivery_mode: fast }, { name: both.tick, delivery_mode: broadcast }]
";

#[tokio::test]
async fn fast_events_are_told_in_the_process_and_are_no_rows() {
    let seen = Seen::default();
    let here = seen.clone();
    let app = TestApp::with_handlers(RustStepHandlerRegistry::empty())
        .template(QUICK)
        .mock("tick", |_| Ok(json!({ "at": 1 })))
        .on_event("watch", "*", move |event: StepEvent| {
            let here = here.clone();
            async move { here.push(event) }
        });
    let mut listening = app.engine().events();
    let run = app.run("quick", json!({})).await;
    a_while(&app).await;
    let heard: Vec<_> = std::iter::from_fn(|| listening.try_recv().ok()).collect();
    assert_eq!(heard.iter().map(|event| &*event.name).collect::<Vec<_>>(), ["fast.tick", "both.tick"]);
    assert_eq!(heard[0].context.correlation_id, run.view().input.correlation_id);
    let mut given: Vec<_> = seen.all().into_iter().map(|event| (event.name, event.position.is_some())).collect();
    given.sort_unstable();
    assert_eq!(given, [("both.tick".to_owned(), true), ("fast.tick".to_owned(), false)], "each once");
    let (store, id) = (app.engine().store().clone(), run.view().row.id);
    let stored = app.drive(async move { store.events_of(id, None, 10).await.unwrap() }).await;
    assert_eq!(stored.iter().map(|event| &*event.row.name).collect::<Vec<_>>(), ["both.tick"]);
    assert!(stored[0].undelivered.is_empty());
}
