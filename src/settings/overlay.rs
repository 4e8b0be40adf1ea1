use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::environment::{KNOWN, PREFIX, RESERVED, variable_of};
use super::{ConfigFile, Fault, Settings, Source, checks};

pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// One source laid over the other. The defaults say which keys there are, and of which type.
pub struct Overlay {
    defaults: Table,
    values: Table,
    /// Who set a key last; those not in here have their default.
    set_by: BTreeMap<String, Source>,
    faults: Vec<Fault>,
}

impl Overlay {
    /// `faults` are those of sources that can't be laid over.
    pub fn of_defaults(faults: Vec<Fault>) -> Overlay {
        let defaults: Table = toml::from_str(DEFAULTS).expect("the embedded defaults are TOML");
        Overlay { values: defaults.clone(), defaults, set_by: BTreeMap::new(), faults }
    }

    pub fn apply_file(&mut self, file: &ConfigFile) {
        let source = Source::File(file.path.clone());
        let table = match toml::from_str::<Table>(&file.text) {
            Ok(table) => table,
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let line = file.text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
                return self.fault(source, &format!("line {line}"), error.message());
            }
        };
        for (section, values) in table {
            let Value::Table(values) = values else {
                self.fault(source.clone(), &section, "unknown key");
                continue;
            };
            if values.is_empty() && !self.defaults.contains_key(&section) {
                self.fault(source.clone(), &section, "unknown key");
            }
            for (key, value) in values {
                self.set(source.clone(), &format!("{section}.{key}"), |default| like(default, value));
            }
        }
    }

    pub fn apply_environment(&mut self, environment: &BTreeMap<String, String>) {
        let own: Vec<(String, String)> = keys(&self.defaults).map(|key| (variable_of(&key), key)).collect();
        let known = KNOWN.map(|(variable, key)| (variable.to_owned(), key.to_owned()));
        for (variable, key) in known.iter().chain(&own) {
            if let Some(text) = environment.get(variable).filter(|text| !text.is_empty()) {
                self.set(Source::Environment(variable.clone()), key, |default| parse_like(default, text));
            }
        }
        let meant: BTreeSet<&str> = own.iter().map(|(variable, _)| variable.as_str()).chain(RESERVED).collect();
        for variable in environment.keys() {
            if variable.starts_with(PREFIX) && !meant.contains(variable.as_str()) {
                self.fault(Source::Environment(variable.clone()), "", "unknown variable");
            }
        }
    }

    pub fn apply_flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            self.set(Source::Flag, key, |default| parse_like(default, text));
        }
    }

    /// `data_dir` is where data is kept when nothing says where.
    pub fn into_settings(mut self, data_dir: Option<PathBuf>) -> Result<Settings, Vec<Fault>> {
        let settings = self.checked(data_dir)?;
        if self.faults.is_empty() { Ok(settings) } else { Err(self.faults) }
    }

    pub fn into_settings_for_start(mut self, data_dir: Option<PathBuf>) -> Result<Settings, Vec<Fault>> {
        let settings = self.checked(data_dir)?;
        // A URL that can't be read names a database all the same.
        let embedded = settings.is_embedded() && !self.is_known("database.url");
        for fault in settings.check_for_start(embedded).err().unwrap_or_default() {
            if !self.is_known(&fault.key) {
                self.faults.push(fault);
            }
        }
        if self.faults.is_empty() { Ok(settings) } else { Err(self.faults) }
    }

    /// Notes what is wrong with the values that there are now, each of which has the right type.
    fn checked(&mut self, data_dir: Option<PathBuf>) -> Result<Settings, Vec<Fault>> {
        let mut settings = self.deserialize()?;
        if settings.data.dir.as_os_str().is_empty() {
            match data_dir {
                Some(dir) => settings.data.dir = dir,
                None => self.fault(Source::Default, "data.dir", "expected a directory, or HOME in the environment"),
            }
        }
        for contradiction in checks::contradictions(&settings) {
            if !contradiction.keys.iter().any(|key| self.is_known(key)) {
                self.fault(self.source_of(contradiction.keys[0]), contradiction.keys[0], contradiction.problem);
            }
        }
        Ok(settings)
    }

    fn is_known(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    /// The types of [`Settings`] check each value, but stop at the first fault: it is noted, the default takes the place
    /// of the value, and the rest is checked again.
    fn deserialize(&mut self) -> Result<Settings, Vec<Fault>> {
        loop {
            let error = match serde_path_to_error::deserialize(self.values.clone()) {
                Ok(settings) => return Ok(settings),
                Err(error) => error,
            };
            let key = key_of(error.path());
            self.fault(self.source_of(&key), &key, error.inner().message());
            if self.set_by.remove(&key).is_none() {
                return Err(std::mem::take(&mut self.faults));
            }
            let default = lookup(&self.defaults, &key).expect("only known keys are set").clone();
            *slot(&mut self.values, &key).expect("only known keys are set") = default;
        }
    }

    fn set(&mut self, source: Source, key: &str, value: impl FnOnce(&Value) -> Result<Value, String>) {
        let Some(default) = lookup(&self.defaults, key) else {
            return self.fault(source, key, "unknown key");
        };
        match value(default) {
            Ok(value) => {
                *slot(&mut self.values, key).expect("values have the keys of the defaults") = value;
                self.set_by.insert(key.to_owned(), source);
            }
            Err(problem) => self.fault(source, key, problem),
        }
    }

    fn source_of(&self, key: &str) -> Source {
        self.set_by.get(key).cloned().unwrap_or(Source::Default)
    }

    fn fault(&mut self, source: Source, key: &str, problem: impl Into<String>) {
        self.faults.push(Fault { source, key: key.to_owned(), problem: problem.into() });
    }
}

/// Every key, as `section.key`.
pub fn keys(table: &Table) -> impl Iterator<Item = String> {
    let of_section = |(section, values): (&String, &Value)| {
        let keys: Vec<String> = values.as_table().into_iter().flat_map(Table::keys).cloned().collect();
        let section = section.clone();
        keys.into_iter().map(move |key| format!("{section}.{key}"))
    };
    table.iter().flat_map(of_section)
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (section, key) = key.split_once('.')?;
    table.get(section)?.get(key)
}

fn slot<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (section, key) = key.split_once('.')?;
    table.get_mut(section)?.get_mut(key)
}

fn like(default: &Value, value: Value) -> Result<Value, String> {
    let is_list_of_text = || value.as_array().is_none_or(|list| list.iter().all(Value::is_str));
    if value.same_type(default) && is_list_of_text() { Ok(value) } else { Err(expected_type(default)) }
}

fn parse_like(default: &Value, text: &str) -> Result<Value, String> {
    let parsed = if default.is_integer() {
        text.trim().parse().ok().map(Value::Integer)
    } else if default.is_bool() {
        switch(text.trim()).map(Value::Boolean)
    } else if default.is_array() {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Some(Value::Array(items.map(Value::from).collect()))
    } else {
        Some(Value::from(text))
    };
    parsed.ok_or_else(|| expected_type(default))
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn expected_type(default: &Value) -> String {
    let expected = match default.type_str() {
        "integer" => "a whole number",
        "boolean" => "a switch (true or false; in the environment also on, off, 1, 0)",
        "array" => "a list of texts",
        _ => "a text in quotes",
    };
    format!("expected {expected}")
}

fn key_of(path: &Path) -> String {
    let names = path.iter().filter_map(|segment| match segment {
        Segment::Map { key } => Some(key.as_str()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    });
    names.take(2).collect::<Vec<_>>().join(".")
}
