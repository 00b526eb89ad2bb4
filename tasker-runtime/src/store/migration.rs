//! Which schemas a program can work on: its own, and one that a newer program has only added to.

use super::StoreError;

/// How the name of a migration begins that only adds to the schema: programs that do not know it work on. A later release
/// takes away what nobody needs any more, by a migration whose name begins otherwise.
pub(super) const EXPANDS: &str = "expand: ";

/// A migration that this program knows: version, name, text. Versions are counted from 1.
pub(super) type Migration = (i64, &'static str, &'static str);

/// A migration that the database says it has.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) checksum: Vec<u8>,
}

/// Whether the database has every migration that this program knows, of those that were `found` in it; what it has of them is
/// what this program would have made.
///
/// # Errors
/// It has one that this program does not know, and that does more than add; one of another text; or not all before the newest.
pub(super) fn is_current(
    found: &[Applied],
    known: &[Migration],
    checksum: impl Fn(&str) -> Vec<u8>,
) -> Result<bool, StoreError> {
    let newest = known.last().map_or(0, |(version, ..)| *version);
    let unknown = found.iter().filter(|applied| applied.version > newest && !applied.name.starts_with(EXPANDS));
    if let Some(found) = unknown.map(|applied| applied.version).max() {
        return Err(StoreError::Newer { found, known: newest });
    }
    let last = found.iter().map(|applied| applied.version).max().unwrap_or(0);
    for (version, _, text) in known.iter().filter(|(version, ..)| *version <= last) {
        let Some(applied) = found.iter().find(|applied| applied.version == *version) else {
            return Err(StoreError::Open(format!(
                "migration {version} of the schema is missing, though a later one is there: bring the whole database back \
                 from a backup, or use another database"
            )));
        };
        if applied.checksum != checksum(text) {
            return Err(StoreError::Open(format!(
                "migration {version} of the schema is not the one of this program: use the program that made it, or another \
                 database"
            )));
        }
    }
    Ok(last >= newest)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    const KNOWN: &[Migration] = &[(1, "tasks", "one"), (2, "expand: more", "two")];

    fn applied(version: i64, name: &str, text: &str) -> Applied {
        Applied { version, name: name.to_owned(), checksum: text.as_bytes().to_vec() }
    }

    fn judged(found: &[(i64, &str, &str)]) -> Result<bool, StoreError> {
        let found: Vec<_> = found.iter().map(|&(version, name, text)| applied(version, name, text)).collect();
        is_current(&found, KNOWN, |text| text.as_bytes().to_vec())
    }

    #[test]
    fn a_schema_that_was_only_added_to_can_be_worked_on() {
        let (one, two) = ((1, "tasks", "one"), (2, "expand: more", "two"));
        assert!(!judged(&[]).unwrap());
        assert!(!judged(&[one]).unwrap());
        assert!(judged(&[two, one]).unwrap());
        assert!(judged(&[one, two, (3, "expand: still more", "three")]).unwrap());
        let newer = judged(&[one, two, (3, "less", "three"), (4, "expand: else", "four")]);
        assert!(matches!(newer, Err(StoreError::Newer { found: 3, known: 2 })), "{newer:?}");
    }

    #[test]
    fn a_schema_that_another_program_made_or_that_has_a_gap_is_refused() {
        let told = |found: &[(i64, &str, &str)]| match judged(found) {
            Err(StoreError::Open(text)) => text,
            other => panic!("{other:?}"),
        };
        let (one, two, three) = ((1, "tasks", "one"), (2, "expand: more", "two"), (3, "expand: still more", "three"));
        assert!(
            told(&[(1, "tasks", "another")]).starts_with("migration 1 of the schema is not the one of this program")
        );
        assert!(told(&[one, (2, "expand: more", ""), three]).starts_with("migration 2 of the schema is not the one"));
        assert!(told(&[two]).starts_with("migration 1 of the schema is missing"));
        assert!(told(&[one, three]).starts_with("migration 2 of the schema is missing"));
    }

    fn folder(database: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(database)
    }

    fn files(database: &str) -> Vec<String> {
        let entries = std::fs::read_dir(folder(database)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The list of a store is what is in its folder: in order, without gaps, of the names and texts of the files.
    pub(in crate::store) fn assert_are_the_files(migrations: &[Migration], database: &str) {
        let files = files(database);
        assert_eq!(migrations.len(), files.len(), "{files:?}");
        for ((file, &(version, name, text)), number) in files.iter().zip(migrations).zip(1..) {
            let words = name.strip_prefix(EXPANDS).unwrap_or(name).replace(' ', "_");
            assert_eq!(*file, format!("{version:04}_{words}.sql"));
            assert_eq!(version, number, "{file}");
            assert_eq!(std::fs::read_to_string(folder(database).join(file)).unwrap(), text, "{file}");
        }
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let files = files("sqlite");
        assert!(files.len() >= 9);
        assert_eq!(files, self::files("postgres"));
    }
}
