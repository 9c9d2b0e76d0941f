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
fn a_setting_that_there_is_none_of_is_refused_with_the_nearest_wherever_it_is_given() {
    for (variable, nearest) in [
        ("HTTP__BODY_LIMIT", "HTTP__BODY_LIMIT_BYTES"),
        ("DATABASES__POOL_SIZE", "DATABASE__POOL_SIZE"),
        ("LOG__LEVEL", "LOG__FILTER"),
        ("KAFKA__GROUP_ID", "KAFKA__BROKERS"),
        ("MESSAGING__RETRY_DELAY_MS", "MESSAGING__RETRY_DELAYS_MS"),
        ("MANAGEMENT__PROT", "MANAGEMENT__PORT"),
        ("HTTP__PORT__", "HTTP__PORT"),
        ("HTTP__PORT__NUMBER", "HTTP__PORT"),
        ("HTTP", "HTTP__PORT"),
    ] {
        let given = format!("QUADRILLE__{variable}");
        let error = Layers::new(SERVICE, None, variables(&[DATABASE, (&given, "1")])).unwrap_err();
        let expected =
            format!("environment: there is no setting {given}; the nearest is QUADRILLE__{nearest}");
        assert_eq!(error.to_string(), expected);
    }

    let file = tempfile();
    let of_file =
        "[http]\nport = 1\nbody_limit = 5\n[databases]\npool_size = 3\n[saga]\n[messaging]\nbatch = 1\n";
    std::fs::write(&file, of_file).unwrap();
    let error = Layers::new(
        SERVICE,
        Some(&file),
        variables(&[("QUADRILLE__LOG__LEVEL", "debug")]),
    )
    .unwrap_err();
    std::fs::remove_file(&file).unwrap();
    let SettingsError::Unknown(unknown) = &error else {
        panic!("{error}")
    };
    let mut named: Vec<_> = unknown
        .iter()
        .map(|it| (it.name.as_str(), it.nearest.as_str()))
        .collect();
    named.sort_unstable();
    // all at once
    assert_eq!(
        named.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        [
            "QUADRILLE__LOG__LEVEL",
            "databases.pool_size",
            "http.body_limit",
            "messaging.batch",
            "saga",
        ]
    );
    assert_eq!(named[1].1, "database.pool_size");
    assert!(error.to_string().contains(&format!("file {file}")), "{error}");
}

#[test]
fn what_has_no_default_may_be_set_all_the_same() {
    let layers = Layers::new(
        SERVICE,
        None,
        variables(&[DATABASE, ("QUADRILLE__MANAGEMENT__PORT", "7000")]),
    );
    assert_eq!(layers.unwrap().core().unwrap().management_socket().port(), 7000);
}

#[test]
fn each_value_is_printed_with_where_it_came_from() {
    let file = tempfile();
    std::fs::write(&file, "[http]\nworkers = 3\nkeep_alive_s = 9\n").unwrap();
    let environment = variables(&[DATABASE, ("QUADRILLE__HTTP__WORKERS", "7")]);
    let printed = Layers::new(SERVICE, Some(&file), environment)
        .unwrap()
        .redacted()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let of_file = format!("file {file}");
    for (name, source) in [
        ("http.address", "default of every service"),
        ("http.port", "default of this service"),
        ("http.keep_alive_s", of_file.as_str()),
        ("http.workers", "environment QUADRILLE__HTTP__WORKERS"),
        ("http.cursor_secret", "default of every service"),
        ("database.url", "environment QUADRILLE__DATABASE__URL"),
        ("management.port", "not set"),
    ] {
        assert_eq!(printed["sources"][name], source, "{name}");
    }
    assert_eq!(printed["http"]["keep_alive_s"], 9);
}

#[test]
fn a_number_that_is_none_names_its_variable() {
    let error = Layers::new(SERVICE, None, variables(&[("QUADRILLE__HTTP__PORT", "http")])).unwrap_err();
    assert!(matches!(error, SettingsError::Variable { .. }));
    assert!(error.to_string().contains("QUADRILLE__HTTP__PORT"), "{error}");
    let delays = variables(&[("QUADRILLE__MESSAGING__RETRY_DELAYS_MS", "1000,soon")]);
    let error = Layers::new(SERVICE, None, delays).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable QUADRILLE__MESSAGING__RETRY_DELAYS_MS: \"1000,soon\" is not a whole number"
    );
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
