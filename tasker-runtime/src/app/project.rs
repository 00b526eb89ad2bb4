//! Where a project is: the folder of the nearest `tasker.toml`.

use std::path::{Path, PathBuf};

/// The file that marks a project, and holds its settings.
pub(crate) const SETTINGS_FILE: &str = "tasker.toml";

/// A project's folder, and its settings file where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    /// The folder that relative paths start from.
    pub(crate) folder: PathBuf,
    /// Its `tasker.toml`.
    pub(crate) settings_file: Option<PathBuf>,
}

impl Project {
    /// The project that `folder` is in: the nearest folder upwards with a `tasker.toml`, else `folder` itself.
    pub(crate) fn around(folder: &Path) -> Self {
        let found = folder.ancestors().map(|folder| folder.join(SETTINGS_FILE)).find(|file| file.is_file());
        match found {
            Some(file) => {
                let folder = file.parent().unwrap_or(folder).to_path_buf();
                Self { folder, settings_file: Some(file) }
            }
            None => Self { folder: folder.to_path_buf(), settings_file: None },
        }
    }

    /// A folder that the program names, such as `templates`: in the project, or, where there is no `tasker.toml` and
    /// Cargo runs the program from elsewhere, beside its `Cargo.toml`.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        let here = self.folder.join(path);
        if self.settings_file.is_some() || here.exists() {
            return here;
        }
        match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => {
                let beside = Path::new(&manifest).join(path);
                if beside.exists() { beside } else { here }
            }
            None => here,
        }
    }
}
