use super::*;

fn read(toml: &str, variables: &[(&str, &str)], database: Option<&str>) -> Result<Settings, BadSetting> {
    let folder = std::env::temp_dir().join(format!("tasker-settings-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(folder.join("inner")).expect("a folder can be made");
    std::fs::write(folder.join("tasker.toml"), toml).expect("a file can be written");
    let variables = variables.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let settings = Settings::read(Defaults::default(), &folder.join("inner"), variables, database);
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    settings.map(|settings| Settings { database: relative(&settings.database, &folder), ..settings })
}

fn relative(place: &Place, folder: &Path) -> Place {
    let Place::File(path) = place else { return place.clone() };
    Place::File(path.strip_prefix(folder).unwrap_or(path).to_path_buf())
}

fn file(path: &str) -> Place {
    Place::File(PathBuf::from(path))
}

#[test]
fn the_environment_goes_over_the_file_and_the_command_line_over_both() {
    let toml = "slots = 3\ndrain_seconds = 1.5\nretention_days = 0\ndatabase_url = 'sqlite://a.db'\n";
    let settings = read(toml, &[("TASKER_SLOTS", "7")], None).expect("all is well");
    assert_eq!((settings.options.slots, settings.options.drain), (7, Duration::from_millis(1500)));
    assert_eq!((settings.options.retention, settings.database), (None, file("a.db")));
    let settings = read(toml, &[("DATABASE_URL", "sqlite:b.db")], None).expect("all is well");
    assert_eq!(settings.database, file("inner/b.db"));
    let settings = read(toml, &[("DATABASE_URL", "b.db")], Some("/c.db")).expect("all is well");
    assert_eq!(settings.database, file("/c.db"));
}

#[test]
fn the_database_is_beside_the_nearest_settings_file() {
    assert_eq!(read("", &[], None).expect("all is well").database, file("tasker.db"));
}

#[test]
fn unknown_keys_are_errors_that_say_what_was_meant() {
    let bad = read("slot = 3\n", &[], None).expect_err("there is no such key");
    assert_eq!((bad.code, bad.help.as_deref()), ("E302", Some("did you mean `slots`?")));
    let bad = read("", &[("TASKER_SLOT", "3")], None).expect_err("there is no such variable");
    assert_eq!(bad.help.as_deref(), Some("did you mean `TASKER_SLOTS`?"));
    assert!(read("", &[("TASKER_APPLICATIONS_OWN", "3")], None).is_ok());
}

#[test]
fn values_out_of_range_are_refused_with_their_place() {
    for (toml, said) in [
        ("slots = 0", "`slots` in "),
        ("slots = true", "`slots` is boolean"),
        ("drain_seconds = -1", "is `-1`"),
        ("durability = 'some'", "is `some`"),
        ("lease_seconds = 0", "is `0`"),
        ("slots = ", "tasker.toml: "),
    ] {
        let bad = read(toml, &[], None).expect_err(toml);
        assert!(bad.message.contains(said), "{}", bad.message);
    }
}

#[test]
fn databases_that_this_build_has_no_store_for_are_refused() {
    let folder = Path::new("/p");
    for (url, code) in [
        ("postgres://host:port/db", "E303"),
        ("postgres://host/db?colour=red", "E303"),
        ("mysql://host/db", "E303"),
        ("sqlite://", "E303"),
        ("sqlite::memory:", "E303"),
        ("sqlite://a.db?mode=ro", "E303"),
    ] {
        assert_eq!(database_place(url, folder).expect_err(url).code, code);
    }
    for (url, file) in [
        ("sqlite://a.db", "/p/a.db"),
        ("sqlite:a.db", "/p/a.db"),
        ("sqlite:///x/a.db", "/x/a.db"),
        ("sqlite://a.db?mode=rwc", "/p/a.db"),
        ("what?.db", "/p/what?.db"),
    ] {
        assert_eq!(database_place(url, folder), Ok(self::file(file)));
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_is_named_without_its_password() {
    for url in ["postgres://ada:s3cret@host/db", "postgresql://ada:s3cret@host/db?sslmode=require"] {
        let settings = read("", &[("DATABASE_URL", url)], None).expect("all is well");
        assert_eq!(settings.database.to_string(), "postgres://ada@host:5432/db");
        assert_eq!(settings.database.argument(), None, "it could not be typed as it is shown");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
    let told = read("", &[("DATABASE_URL", "postgres://ada:s3cret@host:x/db")], None).expect_err("no port");
    assert!(!format!("{told:?}").contains("s3cret"));
}
