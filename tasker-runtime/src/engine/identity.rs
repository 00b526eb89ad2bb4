//! Which task a request means: none yet where it has an identity of its own.

use sha2::{Digest as _, Sha256};
use tasker_types::{IdentityStrategy, TaskRequest, canonical_json};

use super::Error;
use super::limits::check_label;
use crate::core::{Identity, KnownBy, Pinned};

/// What the request is known by, and what becomes of it where such a task exists; `None` where it means a new task.
///
/// A key goes before the template's strategy. The version of the template is no part of it: the order that was submitted
/// before a release is the same order after it.
///
/// # Errors
/// The key is missing where the template wants one, is empty, or cannot be stored.
pub(super) fn of(request: &TaskRequest, pinned: &Pinned) -> Result<Option<KnownBy>, Error> {
    let template = &pinned.template;
    let identity = match (&request.idempotency_key, template.identity_strategy) {
        (Some(key), _) => {
            check_label("idempotency_key", key)?;
            if key.is_empty() {
                return Err(Error::BadRequest("`idempotency_key` is empty".to_owned()));
            }
            identity(["key", &template.namespace, &template.name, key])
        }
        (None, IdentityStrategy::Strict) => {
            identity(["context", &template.namespace, &template.name, &canonical_json(&request.context)])
        }
        (None, IdentityStrategy::CallerProvided) => {
            return Err(Error::BadRequest(format!(
                "template `{}` is `identity_strategy: caller_provided`: each request needs an `idempotency_key`",
                template.name
            )));
        }
        (None, IdentityStrategy::AlwaysUnique) => return Ok(None),
    };
    Ok(Some(KnownBy { identity, if_exists: request.if_exists }))
}

/// SHA-256 of the parts, each with its length before it: no two lists of parts are hashed alike.
fn identity(parts: [&str; 4]) -> Identity {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Identity(hash.finalize().into())
}
