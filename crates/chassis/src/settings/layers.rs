//! Defaults, file, environment: one tree.

use config::{Config, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::{CoreSettings, SettingsError, redact};

const CHASSIS_DEFAULTS: &str = include_str!("../defaults.toml");
const PREFIX: &str = "QUADRILLE__";
const SEPARATOR: &str = "__";
/// Names the optional configuration file.
const FILE_VARIABLE: &str = "QUADRILLE_CONFIG";

/// The merged tree of all layers, not yet read into a type.
#[derive(Debug, Clone)]
pub struct Layers {
    tree: Config,
}

impl Layers {
    /// The defaults of the chassis and of the service, the file named by `QUADRILLE_CONFIG`, the process's
    /// environment.
    ///
    /// # Errors
    /// When a layer cannot be read or a variable has the wrong type.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process(service_defaults: &str) -> Result<Self, SettingsError> {
        let file = std::env::var(FILE_VARIABLE).ok().filter(|path| !path.is_empty());
        Self::new(service_defaults, file.as_deref(), std::env::vars())
    }

    /// The same from explicit parts: what tests use.
    ///
    /// # Errors
    /// When a layer cannot be read or a variable has the wrong type.
    pub fn new(
        service_defaults: &str,
        file: Option<&str>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults = Config::builder()
            .add_source(File::from_str(CHASSIS_DEFAULTS, FileFormat::Toml))
            .add_source(File::from_str(service_defaults, FileFormat::Toml))
            .build()?;
        let mut builder = Config::builder().add_source(defaults.clone());
        if let Some(path) = file {
            builder = builder.add_source(File::new(path, FileFormat::Toml));
        }
        for (variable, text) in variables {
            let Some(key) = key_of(&variable) else { continue };
            let value = typed(&defaults, &variable, &key, text)?;
            builder = builder.set_override(key, value)?;
        }
        Ok(Self {
            tree: builder.build()?,
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

    /// The effective configuration with its secrets blacked out, as JSON.
    ///
    /// # Errors
    /// When the tree has no JSON form.
    pub fn redacted(&self) -> Result<serde_json::Value, SettingsError> {
        let mut tree: serde_json::Value = self.read()?;
        redact::redact(&mut tree);
        Ok(tree)
    }
}

/// `QUADRILLE__HTTP__PORT` is `http.port`.
fn key_of(variable: &str) -> Option<String> {
    let path = variable.strip_prefix(PREFIX)?;
    (!path.is_empty()).then(|| path.to_ascii_lowercase().replace(SEPARATOR, "."))
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
        Ok(ValueKind::Array(_)) => ValueKind::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::new(None, item))
                .collect(),
        ),
        Ok(ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::I128(_) | ValueKind::U128(_)) => {
            let number: Result<i64, _> = text.trim().parse();
            ValueKind::I64(number.map_err(|_not_a_number| wrong("a whole number", text))?)
        }
        Ok(ValueKind::Float(_)) => {
            let number: Result<f64, _> = text.trim().parse();
            ValueKind::Float(number.map_err(|_not_a_number| wrong("a number", text))?)
        }
        Ok(ValueKind::Boolean(_)) => {
            let flag: Result<bool, _> = text.trim().parse();
            ValueKind::Boolean(flag.map_err(|_not_a_flag| wrong("true or false", text))?)
        }
        Ok(ValueKind::String(_) | ValueKind::Nil | ValueKind::Table(_)) | Err(_) => ValueKind::String(text),
    };
    Ok(Value::new(None, kind))
}
