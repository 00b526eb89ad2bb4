//! The templates of an application: those in its folder, and those in the program itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tasker_types::template::limits::MAX_SOURCE_BYTES;
use tasker_types::template::{Finding, Findings, Parsed, codes, parse};

use crate::engine::Schema;
use crate::handler::NeededHandler;

/// A template that is part of the program.
#[derive(Debug, Clone)]
pub(crate) struct Embedded {
    pub(crate) file_name: Cow<'static, str>,
    pub(crate) text: Cow<'static, str>,
}

/// A template that was read and is well.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The file, as it is shown.
    pub(crate) file: String,
    /// Its text.
    pub(crate) source: String,
    /// What it says.
    pub(crate) parsed: Parsed,
}

/// A template that cannot be used.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It was read, and is wrong.
    Findings(Findings),
    /// It could not be read, or contradicts another one.
    Other(String),
}

/// All templates of an application.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// Those that are well, in the order of their files' names, embedded ones first.
    pub(crate) loaded: Vec<Loaded>,
    /// The others.
    pub(crate) refused: Vec<Refused>,
}

impl Templates {
    /// Reads them all, as they are in this environment; a missing folder holds none.
    pub(crate) fn read(embedded: &[Embedded], folder: Option<&Path>, environment: Option<&str>) -> Self {
        let mut templates = Self::default();
        for one in embedded {
            templates.take(one.file_name.clone().into_owned(), Ok(one.text.clone().into_owned()), environment);
        }
        match folder.map(files) {
            Some(Ok(files)) => files.iter().for_each(|file| templates.take(shown(file), read_text(file), environment)),
            Some(Err(reason)) => templates.refused.push(Refused::Other(reason)),
            None => {}
        }
        templates.refuse_twins();
        templates
    }

    /// Reads exactly these files.
    pub(crate) fn read_files(files: &[PathBuf], environment: Option<&str>) -> Self {
        let mut templates = Self::default();
        files.iter().for_each(|file| templates.take(shown(file), read_text(file), environment));
        templates.refuse_twins();
        templates
    }

    fn take(&mut self, file: String, text: Result<String, String>, environment: Option<&str>) {
        match text.map(|text| (parse(&file, &text), text)) {
            Ok((Ok(parsed), source)) => {
                let parsed = match environment {
                    Some(environment) => parsed.in_environment(environment),
                    None => parsed,
                };
                match bad_schemas(&parsed) {
                    findings if findings.is_empty() => self.loaded.push(Loaded { file, source, parsed }),
                    findings => self.refused.push(Refused::Findings(Findings::new(&file, &source, findings))),
                }
            }
            Ok((Err(findings), _)) => self.refused.push(Refused::Findings(findings)),
            Err(reason) => self.refused.push(Refused::Other(reason)),
        }
    }

    /// Two contents of one version: new tasks could take either.
    fn refuse_twins(&mut self) {
        let mut seen: BTreeMap<(&str, &str, &str), &Loaded> = BTreeMap::new();
        for loaded in &self.loaded {
            let template = &loaded.parsed.template;
            let first = *seen.entry((&template.namespace, &template.name, &template.version)).or_insert(loaded);
            if first.parsed.template != *template {
                self.refused.push(Refused::Other(format!(
                    "{} and {} both are version {} of template `{}` in namespace `{}`, and say different things",
                    first.file, loaded.file, template.version, template.name, template.namespace
                )));
            }
        }
    }

    /// The handlers that the templates need.
    pub(crate) fn needed(&self) -> Vec<NeededHandler> {
        self.loaded.iter().flat_map(Loaded::needed).collect()
    }
}

impl Loaded {
    /// The handlers that the template needs.
    pub(crate) fn needed(&self) -> impl Iterator<Item = NeededHandler> {
        let template = &self.parsed.template;
        template.steps.iter().map(|step| NeededHandler {
            template: template.name.clone(),
            step: step.name.clone(),
            callable: step.handler.callable.clone(),
        })
    }
}

/// What is wrong within the schemas of a template.
fn bad_schemas(parsed: &Parsed) -> Vec<Finding> {
    let template = &parsed.template;
    let of_context = template.input_schema.iter().zip(parsed.input_schema);
    let of_context = of_context.map(|(schema, place)| (schema, place, "`input_schema` of the template".to_owned()));
    let of_results = template.steps.iter().zip(&parsed.places).filter_map(|(step, place)| {
        let owner = format!("`result_schema` of step `{}`", step.name);
        Some((step.result_schema.as_ref()?, place.result_schema?, owner))
    });
    let finding = |(schema, place, owner): (&_, _, String)| {
        let reason = Schema::compile(schema).err()?;
        let finding = Finding::new(&codes::BAD_SCHEMA, format!("{owner} cannot be used: {reason}"));
        Some(finding.at(place).with_label("not a schema that can be used"))
    };
    of_context.chain(of_results).filter_map(finding).collect()
}

/// The files of templates in a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", shown(folder));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let suited =
            path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if suited && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file; no more of it than the parser needs to see that it is too long.
fn read_text(file: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", shown(file));
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_SOURCE_BYTES).unwrap_or(u64::MAX).saturating_add(4);
    File::open(file).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // What was cut in the middle of a character is too long anyway.
        Err(error) if error.as_bytes().len() > MAX_SOURCE_BYTES => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_) => Err(format!("{} is not UTF-8 text", shown(file))),
    }
}

/// A path as it is shown: from the current folder where it is below that.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&here).ok().filter(|short| !short.as_os_str().is_empty());
    short.unwrap_or(path).display().to_string()
}
