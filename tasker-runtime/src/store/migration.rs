//! Which schemas a program can work on: its own, and one that a newer program has only added to.

use super::StoreError;

/// How the name of a migration begins that only adds to the schema: programs that do not know it work on. A later release
/// takes away what nobody needs any more, by a migration whose name begins otherwise.
pub(super) const EXPANDS: &str = "expand: ";

/// Whether the database has every migration up to `known`, of those that were `found` in it: their versions and names.
///
/// # Errors
/// It has one that this program does not know, and that does more than add.
pub(super) fn is_current(found: &[(i64, String)], known: i64) -> Result<bool, StoreError> {
    let unknown = found.iter().filter(|(version, name)| *version > known && !name.starts_with(EXPANDS));
    if let Some(found) = unknown.map(|(version, _)| *version).max() {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found.iter().any(|(version, _)| *version == known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(found: &[(i64, &str)]) -> Result<bool, i64> {
        let found: Vec<_> = found.iter().map(|&(version, name)| (version, name.to_owned())).collect();
        is_current(&found, 2).map_err(|error| match error {
            StoreError::Newer { found, known: 2 } => found,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_schema_that_was_only_added_to_can_be_worked_on() {
        assert_eq!(judged(&[]), Ok(false));
        assert_eq!(judged(&[(1, "tasks")]), Ok(false));
        assert_eq!(judged(&[(1, "tasks"), (2, "expand: more")]), Ok(true));
        assert_eq!(judged(&[(1, "tasks"), (2, "expand: more"), (3, "expand: still more")]), Ok(true));
        assert_eq!(judged(&[(1, "tasks"), (2, "expand: more"), (3, "less"), (4, "expand: else")]), Err(3));
    }
}
