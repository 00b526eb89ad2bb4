//! Which task is meant: the first digits of its id, `@last`, `@last:failed`.

use tasker_types::{TaskId, TaskState};
use uuid::Uuid;

use super::problem::Problem;
use crate::store::{Page, Store, TaskFilter};

/// Hexadecimal digits of an id.
const DIGITS: usize = 32;
/// How many digits a short id has: the first of these that tell it apart. 12 digits are the millisecond of its submit.
const LENGTHS: [usize; 4] = [12, 16, 20, 26];
/// Candidates that are listed where a prefix means several tasks.
const CANDIDATES: u32 = 5;

/// The task that `text` means.
pub(crate) async fn find(store: &dyn Store, text: &str) -> Result<TaskId, Problem> {
    if let Some(word) = text.strip_prefix('@') {
        return last(store, word, text).await;
    }
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    if digits.is_empty() || digits.len() > DIGITS || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Problem::new("E313", format!("`{text}` is not the id of a task"))
            .with_help("it takes the first digits of an id, `@last` or `@last:failed`; `task list` shows ids"));
    }
    if digits.len() == DIGITS {
        let uuid = Uuid::parse_str(&digits).map_err(|error| Problem::new("E313", error.to_string()))?;
        return known(store, TaskId::from_uuid(uuid)).await;
    }
    let found = store.tasks_by_prefix(&digits, CANDIDATES + 1).await?;
    match found.as_slice() {
        [] => Err(Problem::new("E102", format!("there is no task whose id begins with `{text}`"))
            .with_help("`task list` shows ids")),
        [only] => Ok(*only),
        several => Err(ambiguous(text, several)),
    }
}

async fn known(store: &dyn Store, task: TaskId) -> Result<TaskId, Problem> {
    match store.task_state(task).await? {
        Some(_) => Ok(task),
        None => Err(Problem::new("E102", format!("there is no task {task}")).with_help("`task list` shows ids")),
    }
}

fn ambiguous(text: &str, several: &[TaskId]) -> Problem {
    let most = usize::try_from(CANDIDATES).unwrap_or(usize::MAX);
    let mut message = format!("the ids of several tasks begin with `{text}`");
    for task in several.iter().take(most) {
        message.push_str(&format!("\n{task}"));
    }
    if several.len() > most {
        message.push_str("\nand more");
    }
    Problem::new("E305", message).with_help("give more digits, with or without hyphens")
}

/// The task that was accepted last, of all or of those in a state.
async fn last(store: &dyn Store, word: &str, text: &str) -> Result<TaskId, Problem> {
    let wrong = || {
        let states: Vec<&str> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
        Problem::new("E313", format!("`{text}` names no task"))
            .with_help(format!("write `@last`, or `@last:` and one of {}", states.join(", ")))
    };
    let states = match word.split_once(':') {
        None if word == "last" => Vec::new(),
        Some(("last", state)) => vec![TaskState::from_name(state).ok_or_else(wrong)?],
        _ => return Err(wrong()),
    };
    let filter = TaskFilter { states, ..TaskFilter::default() };
    let found = store.list_tasks(filter.clone(), Page { before: None, limit: 1 }).await?;
    match (found.first(), filter.states.first()) {
        (Some(listed), _) => Ok(listed.row.id),
        (None, None) => Err(Problem::new("E102", "there is no task yet")),
        (None, Some(state)) => Err(Problem::new("E102", format!("no task is {state}"))),
    }
}

/// An id cut to what tells it apart from every other one, as it is written: with hyphens.
pub(crate) async fn short(store: &dyn Store, task: TaskId) -> Result<String, Problem> {
    let digits = task.uuid().simple().to_string();
    for length in LENGTHS {
        if store.tasks_by_prefix(&digits[..length], 2).await?.len() < 2 {
            return Ok(cut(task, length));
        }
    }
    Ok(task.to_string())
}

/// The first `digits` digits of an id, with the hyphens between them.
fn cut(task: TaskId, digits: usize) -> String {
    let hyphens = [8, 12, 16, 20].iter().filter(|&&at| at < digits).count();
    task.to_string().chars().take(digits + hyphens).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_the_beginning_of_the_whole_one() {
        let task: TaskId = "0199d3c2-4f1a-7abc-8def-012345000000".parse().expect("it is an id");
        assert_eq!(cut(task, 12), "0199d3c2-4f1a");
        assert_eq!(cut(task, 16), "0199d3c2-4f1a-7abc");
        assert_eq!(cut(task, 26), "0199d3c2-4f1a-7abc-8def-012345");
    }
}
