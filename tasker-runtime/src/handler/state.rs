//! What an application shares with its handlers.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// Values that an application shares with its handlers, one of each type: pools, clients, settings.
///
/// ```
/// use tasker_runtime::handler::AppState;
///
/// struct Gateway(&'static str);
///
/// let mut state = AppState::default();
/// state.insert(Gateway("https://pay.example"));
/// assert_eq!(state.get::<Gateway>().map(|gateway| gateway.0), Some("https://pay.example"));
/// assert!(state.get::<String>().is_none());
/// ```
#[derive(Default)]
pub struct AppState {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    type_names: Vec<&'static str>,
}

impl AppState {
    /// Adds a value; an earlier one of the same type is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        if self.values.insert(TypeId::of::<T>(), Box::new(value)).is_none() {
            self.type_names.push(std::any::type_name::<T>());
        }
    }

    /// The same, as a chain.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.insert(value);
        self
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// Whether there is a value of type `T`.
    #[must_use]
    pub fn contains<T: 'static>(&self) -> bool {
        self.values.contains_key(&TypeId::of::<T>())
    }

    /// The names of the types that there are values of, in the order they were added.
    #[must_use]
    pub fn type_names(&self) -> &[&'static str] {
        &self.type_names
    }
}

impl fmt::Debug for AppState {
    /// The types only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppState").field(&self.type_names).finish()
    }
}
