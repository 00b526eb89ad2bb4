//! A request becomes a command.

use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tasker_types::{TaskForExecution, TaskId, TaskRequest};

use super::limits::{self, check_label};
use super::{Engine, Error, identity};
use crate::core::{NewTask, Pinned, TaskInput};

impl Engine {
    /// The command of a request, and the task as handlers will see it.
    pub(super) async fn plan(&self, request: TaskRequest) -> Result<(NewTask, Arc<TaskForExecution>), Error> {
        check_labels(&request)?;
        let claim_timeout = request.claim_timeout().map_err(Error::BadRequest)?;
        let pinned = self.template(&request.namespace, &request.name, &request.version).await?;
        check_context(&pinned, &request.context)?;
        self.check_schema(&pinned, &request.context)?;
        self.check_taken(&pinned, &request.context)?;
        let known_by = identity::of(&request, &pinned)?;
        let context: Arc<str> = limits::to_json(&request.context).map_err(Error::BadContext)?.into();
        let id = TaskId::from_uuid(self.parts.ids.next());
        let input = TaskInput {
            context,
            correlation_id: request.correlation_id.unwrap_or_else(|| id.to_string()),
            initiator: request.initiator,
            source_system: request.source_system,
            reason: request.reason,
            claim_timeout,
        };
        let task = TaskForExecution {
            task_uuid: id.uuid(),
            name: pinned.template.name.clone(),
            namespace: pinned.template.namespace.clone(),
            version: pinned.template.version.clone(),
            context: Arc::new(request.context),
            correlation_id: input.correlation_id.clone(),
            priority: request.priority,
        };
        let new = NewTask { id, pinned, input, priority: request.priority, known_by, start: request.start };
        Ok((new, Arc::new(task)))
    }

    /// The context fits the template's `input_schema`, where it has one.
    pub(super) fn check_schema(&self, pinned: &Pinned, context: &Value) -> Result<(), Error> {
        let name = &pinned.template.name;
        let schema = self.schemas.of_context(pinned);
        let schema = schema.map_err(|reason| {
            Error::BadSchema(format!("`input_schema` of template `{name}` cannot be used: {reason}"))
        })?;
        match schema.and_then(|schema| schema.misfits(context)) {
            Some(misfits) => {
                Err(Error::BadContext(format!("does not fit the `input_schema` of template `{name}`: {misfits}")))
            }
            None => Ok(()),
        }
    }

    /// The template that a new task of this name starts on.
    ///
    /// # Errors
    /// There is none, or the store fails.
    pub async fn template(&self, namespace: &str, name: &str, version: &str) -> Result<Arc<Pinned>, Error> {
        let key = (namespace.to_owned(), name.to_owned(), version.to_owned());
        let known = self.templates.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(pinned) = known {
            return Ok(pinned);
        }
        let version = (!version.is_empty()).then_some(version);
        let Some(pinned) = self.parts.store.find_template(namespace, name, version).await? else {
            return Err(self.no_template(namespace, name, version).await?);
        };
        self.templates.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pinned.clone());
        Ok(pinned)
    }

    async fn no_template(&self, namespace: &str, name: &str, version: Option<&str>) -> Result<Error, Error> {
        let all = self.parts.store.list_templates().await?;
        let of_name = all.iter().filter(|stored| stored.namespace == namespace && stored.name == name);
        let mut versions: Vec<String> = of_name.map(|stored| stored.version.clone()).collect();
        versions.dedup();
        if let (Some(version), false) = (version, versions.is_empty()) {
            return Ok(Error::NoVersion { name: name.to_owned(), version: version.to_owned(), known: versions });
        }
        let mut known: Vec<String> =
            all.iter().map(|stored| format!("`{}` in `{}`", stored.name, stored.namespace)).collect();
        known.dedup();
        Ok(Error::NoTemplate { namespace: namespace.to_owned(), name: name.to_owned(), known })
    }
}

fn check_labels(request: &TaskRequest) -> Result<(), Error> {
    let labels = [
        ("initiator", request.initiator.as_str()),
        ("source_system", &request.source_system),
        ("reason", &request.reason),
        ("correlation_id", request.correlation_id.as_deref().unwrap_or_default()),
    ];
    for (label, text) in labels {
        check_label(label, text)?;
    }
    if !(-100..=100).contains(&request.priority) {
        return Err(Error::BadRequest(format!("the priority is {}; it is from -100 to 100", request.priority)));
    }
    Ok(())
}

pub(super) fn check_context(pinned: &Pinned, context: &Value) -> Result<(), Error> {
    let Value::Object(entries) = context else {
        return Err(Error::BadContext(format!("is {}, not an object", kind(context))));
    };
    let absent = |key: &&String| entries.get(key.as_str()).is_none_or(Value::is_null);
    let missing: Vec<String> =
        pinned.template.required_fields.iter().filter(absent).map(|key| format!("`{key}`")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::BadContext(format!("lacks {}, which template `{}` requires", missing.join(", "), pinned.template.name)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
