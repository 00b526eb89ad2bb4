//! The engine on the store in memory, in virtual time where nothing else is said.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batch;
mod by_hand;
mod checkpoint;
mod doubt;
mod events;
mod failure;
mod flow;
mod identity;
mod inputs;
mod lease;
mod overdue;
mod prune;
mod rerun;
mod schemas;
mod slots;
mod stale;
mod stop;
mod threads;

use std::sync::Arc;

use tasker_runtime::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use tasker_runtime::event::EventRegistry;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::Store;
use tasker_types::Timestamp;

/// An engine on this store, in virtual time.
fn engine_on(store: Arc<dyn Store>, registry: RustStepHandlerRegistry, options: Options) -> Engine {
    engine_with_events(store, registry, EventRegistry::default(), options)
}

/// The same with subscribers and publishers.
fn engine_with_events(
    store: Arc<dyn Store>,
    registry: RustStepHandlerRegistry,
    events: EventRegistry,
    options: Options,
) -> Engine {
    Engine::start(Parts {
        store,
        registry: Arc::new(registry),
        state: Arc::default(),
        layers: Arc::new([]),
        events: Arc::new(events),
        clock: Clock::starting_at(Timestamp::from_micros(1_900_000_000_000_000)),
        ids: Ids::default(),
        threads: HandlerThreads::shared(),
        options,
    })
}
