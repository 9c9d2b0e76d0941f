use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Layers, LogFormat, SettingsError};

const SERVICE: &str = r#"
[http]
port = 5002

[messaging]
retry_delays_ms = [1000, 5000, 30000]
"#;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const DATABASE: (&str, &str) = (
    "QUADRILLE__DATABASE__URL",
    "postgres://order:s3cret@127.0.0.1:5432/order?a=b",
);

#[derive(Deserialize)]
struct Own {
    messaging: Messaging,
}

#[derive(Deserialize)]
struct Messaging {
    retry_delays_ms: Vec<u64>,
}

#[test]
fn the_service_overrides_the_chassis_the_file_both_and_the_environment_all() {
    let file = tempfile();
    std::fs::write(&file, "[http]\nbody_limit_bytes = 1000\nworkers = 3\n").unwrap();
    let environment = variables(&[DATABASE, ("QUADRILLE__HTTP__WORKERS", "7"), ("PATH", "/bin")]);
    let core = Layers::new(SERVICE, Some(&file), environment)
        .unwrap()
        .core()
        .unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(core.http.port, 5002);
    assert_eq!(core.http.body_limit_bytes, 1000);
    assert_eq!(core.http.workers, 7);
    assert_eq!(core.log.format, LogFormat::Json);
    assert_eq!(core.database.url.expose_secret(), DATABASE.1);
    assert_eq!(core.management_socket().port(), 5102);
}

#[test]
fn an_array_is_comma_separated_in_the_environment() {
    let layers = Layers::new(
        SERVICE,
        None,
        variables(&[("QUADRILLE__MESSAGING__RETRY_DELAYS_MS", "500, 1000,2000")]),
    )
    .unwrap();
    assert_eq!(
        layers.read::<Own>().unwrap().messaging.retry_delays_ms,
        [500, 1000, 2000]
    );
    let defaults = Layers::new(SERVICE, None, Vec::new()).unwrap();
    assert_eq!(
        defaults.read::<Own>().unwrap().messaging.retry_delays_ms,
        [1000, 5000, 30000]
    );
}

#[test]
fn a_number_that_is_none_names_its_variable() {
    let error = Layers::new(SERVICE, None, variables(&[("QUADRILLE__HTTP__PORT", "http")])).unwrap_err();
    assert!(matches!(error, SettingsError::Variable { .. }));
    assert!(error.to_string().contains("QUADRILLE__HTTP__PORT"), "{error}");
}

#[test]
fn the_defaults_of_migrations_are_those_of_the_file() {
    let core = Layers::new("", None, variables(&[DATABASE]))
        .unwrap()
        .core()
        .unwrap();
    assert_eq!(core.migration, super::MigrationSettings::default());
}

#[test]
fn the_database_url_is_required() {
    let error = Layers::new(SERVICE, None, Vec::new())
        .unwrap()
        .core()
        .unwrap_err();
    assert_eq!(error.to_string(), "database.url: is required");
}

#[test]
fn a_missing_file_is_an_error() {
    assert!(Layers::new(SERVICE, Some("/nonexistent/quadrille.toml"), Vec::new()).is_err());
}

#[test]
fn secrets_are_not_printed() {
    let layers = Layers::new("[seal]\nsecret = \"hunter2\"\n", None, variables(&[DATABASE])).unwrap();
    let printed = layers.redacted().unwrap().to_string();
    assert!(
        !printed.contains("s3cret") && !printed.contains("hunter2"),
        "{printed}"
    );
    assert!(
        printed.contains("postgres://order:[redacted]@127.0.0.1:5432/order?a=b"),
        "{printed}"
    );
}

fn tempfile() -> String {
    let name = format!("quadrille-settings-{}.toml", uuid::Uuid::new_v4());
    std::env::temp_dir().join(name).to_str().unwrap().to_owned()
}
