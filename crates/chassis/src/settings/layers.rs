//! Defaults, file, environment: one tree, of names that somebody reads, each with where its value came from.

use std::collections::BTreeMap;

use config::{Config, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::names::{Names, Unknown, leaves};
use super::{CoreSettings, SettingsError, redact};
use crate::Service;

const CHASSIS_DEFAULTS: &str = include_str!("../defaults.toml");
/// Settings of the chassis that have no default.
const CHASSIS_OPTIONAL: [&str; 1] = ["management.port"];
const PREFIX: &str = "QUADRILLE__";
const SEPARATOR: &str = "__";
/// Names the optional configuration file.
const FILE_VARIABLE: &str = "QUADRILLE_CONFIG";
/// Where `config` says what each value came from; no section has this name.
const SOURCES: &str = "sources";

/// The merged tree of all layers, not yet read into a type.
#[derive(Debug, Clone)]
pub struct Layers {
    tree: Config,
    /// Where the value of each setting came from.
    sources: BTreeMap<String, String>,
}

/// What a service assumes when nobody says otherwise: with it goes which settings there are.
#[derive(Debug, Clone)]
struct Defaults {
    service: &'static str,
    kernel: serde_json::Value,
    optional: &'static [&'static str],
}

impl Defaults {
    fn of<S: Service>() -> Self {
        Self {
            service: S::DEFAULTS,
            kernel: S::kernel_defaults(),
            optional: S::OPTIONAL,
        }
    }

    /// The layers with their names, the first the lowest.
    fn layers(&self) -> Result<[(&'static str, Config); 3], SettingsError> {
        let toml = |text| {
            Config::builder()
                .add_source(File::from_str(text, FileFormat::Toml))
                .build()
        };
        Ok([
            ("default of every service", toml(CHASSIS_DEFAULTS)?),
            ("default of the messaging kernel", Config::try_from(&self.kernel)?),
            ("default of this service", toml(self.service)?),
        ])
    }
}

impl Layers {
    /// The defaults of the chassis, of the messaging kernel and of the service, the file named by `QUADRILLE_CONFIG`, the
    /// process's environment.
    ///
    /// # Errors
    /// When a layer cannot be read, names a setting that there is none of, or a variable has the wrong type.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process<S: Service>() -> Result<Self, SettingsError> {
        let file = std::env::var(FILE_VARIABLE).ok().filter(|path| !path.is_empty());
        Self::of::<S>(file.as_deref(), std::env::vars())
    }

    /// The same from explicit parts: what tests use.
    ///
    /// # Errors
    /// As of [`Layers::from_process`].
    pub fn of<S: Service>(
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        Self::over(&Defaults::of::<S>(), file, variables)
    }

    /// A service with these defaults and nothing else of its own.
    #[cfg(test)]
    pub(crate) fn new(
        service: &'static str,
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults = Defaults {
            service,
            kernel: json!({}),
            optional: &[],
        };
        Self::over(&defaults, file, variables)
    }

    fn over(
        defaults: &Defaults,
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut sources = BTreeMap::new();
        let mut builder = Config::builder();
        for (origin, layer) in defaults.layers()? {
            sources.extend(leaves(&layer)?.into_iter().map(|name| (name, origin.to_owned())));
            builder = builder.add_source(layer);
        }
        let defaults_tree = builder.build_cloned()?;
        let optional = CHASSIS_OPTIONAL.iter().chain(defaults.optional);
        for name in optional {
            sources
                .entry((*name).to_owned())
                .or_insert_with(|| "not set".to_owned());
        }
        let names = Names::new(sources.keys());
        let mut unknown = Vec::new();
        if let Some(path) = file {
            let layer = Config::builder()
                .add_source(File::new(path, FileFormat::Toml))
                .build()?;
            for name in leaves(&layer)? {
                match names.nearest_unless_known(&name) {
                    None => drop(sources.insert(name, format!("file {path}"))),
                    Some(nearest) => unknown.push(Unknown {
                        place: format!("file {path}"),
                        name,
                        nearest,
                    }),
                }
            }
            builder = builder.add_source(layer);
        }
        for (variable, text) in variables {
            let Some(key) = key_of(&variable) else { continue };
            if let Some(nearest) = names.nearest_unless_known(&key) {
                unknown.push(Unknown {
                    place: "environment".to_owned(),
                    name: variable,
                    nearest: variable_of(&nearest),
                });
                continue;
            }
            let value = typed(&defaults_tree, &variable, &key, text)?;
            builder = builder.set_override(&key, value)?;
            sources.insert(key, format!("environment {variable}"));
        }
        if !unknown.is_empty() {
            return Err(SettingsError::Unknown(unknown));
        }
        Ok(Self {
            tree: builder.build()?,
            sources,
        })
    }

    /// The settings every service has, validated.
    ///
    /// # Errors
    /// When a key is missing, of the wrong type, or makes no sense.
    pub fn core(&self) -> Result<CoreSettings, SettingsError> {
        let core: CoreSettings = self.read()?;
        core.validate()?;
        Ok(core)
    }

    /// The tree as any type; sections the type does not know are ignored.
    ///
    /// # Errors
    /// When a key is missing or of the wrong type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        Ok(self.tree.clone().try_deserialize()?)
    }

    /// The effective configuration with its secrets blacked out, as JSON; `sources` tells where each value came from.
    ///
    /// # Errors
    /// When the tree has no JSON form.
    pub fn redacted(&self) -> Result<serde_json::Value, SettingsError> {
        let mut tree: serde_json::Value = self.read()?;
        redact::redact(&mut tree);
        if let Some(sections) = tree.as_object_mut() {
            sections.insert(SOURCES.to_owned(), json!(self.sources));
        }
        Ok(tree)
    }
}

/// `QUADRILLE__HTTP__PORT` is `http.port`.
fn key_of(variable: &str) -> Option<String> {
    let path = variable.strip_prefix(PREFIX)?;
    (!path.is_empty()).then(|| path.to_ascii_lowercase().replace(SEPARATOR, "."))
}

/// The other way round.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', SEPARATOR))
}

/// Reads a variable as the type its key's default has; a key without a default stays text.
fn typed(defaults: &Config, variable: &str, key: &str, text: String) -> Result<Value, SettingsError> {
    let wrong = |expected, value| SettingsError::Variable {
        variable: variable.to_owned(),
        value,
        expected,
    };
    let default = defaults.get::<Value>(key).map(|value| value.kind);
    let kind = match default {
        Ok(ValueKind::Array(items)) => {
            let of_item = items.into_iter().next().map(|item| item.kind);
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let items = items.map(|item| {
                let kind = scalar(of_item.as_ref(), item);
                let kind = kind.map_err(|expected| wrong(expected, text.clone()))?;
                Ok(Value::new(None, kind))
            });
            ValueKind::Array(items.collect::<Result<_, SettingsError>>()?)
        }
        default => scalar(default.ok().as_ref(), &text).map_err(|expected| wrong(expected, text))?,
    };
    Ok(Value::new(None, kind))
}

/// Reads text as the type that `like` has, or says which that is.
fn scalar(like: Option<&ValueKind>, text: &str) -> Result<ValueKind, &'static str> {
    Ok(match like {
        Some(ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::I128(_) | ValueKind::U128(_)) => {
            ValueKind::I64(text.trim().parse().map_err(|_not_a_number| "a whole number")?)
        }
        Some(ValueKind::Float(_)) => {
            ValueKind::Float(text.trim().parse().map_err(|_not_a_number| "a number")?)
        }
        Some(ValueKind::Boolean(_)) => {
            ValueKind::Boolean(text.trim().parse().map_err(|_not_a_flag| "true or false")?)
        }
        Some(ValueKind::String(_) | ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_)) | None => {
            ValueKind::String(text.to_owned())
        }
    })
}
