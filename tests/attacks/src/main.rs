//! Attacks a platform that is up, and says what it did not withstand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use attacks::{Arena, Insider, Report, Stop, Target, Trust, cases, run};
use clap::Parser;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use terminal::{errln, outln};

/// Sends hostile requests to a platform that is up, and checks the answers. It makes accounts and orders there.
#[derive(Parser)]
struct Arguments {
    /// The gateway.
    #[arg(long, default_value = "http://127.0.0.1:5000")]
    url: String,
    /// Certificates in PEM that vouch for a gateway whose URL begins with `https://`.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The admin's e-mail address and password, as `make up` writes them; without it some cases are skipped.
    #[arg(long)]
    admin: Option<PathBuf>,
    /// Where the services run, as `make up` writes it (`.stack/stack.json`), for calls around the gateway; with the
    /// `keys.json` beside it the platform's signing key is known as well. Without it those cases are skipped.
    #[arg(long)]
    stack: Option<PathBuf>,
    /// Only cases whose id begins so: `TOK`, `SMU-01`.
    #[arg(long, default_value = "")]
    only: String,
    /// List the cases and leave.
    #[arg(long)]
    list: bool,
}

/// What is read of `stack.json`.
#[derive(Deserialize)]
struct Running {
    processes: Vec<Process>,
}

#[derive(Deserialize)]
struct Process {
    name: String,
    ports: BTreeMap<String, u16>,
    database_url: Option<String>,
}

#[derive(Deserialize)]
struct Admin {
    email: String,
    password: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for case in cases() {
            outln!("{:<7} {} [{}]", case.id, case.what, case.law.join(", "));
        }
        return ExitCode::SUCCESS;
    }
    match attack(&arguments).await {
        Ok(report) => tell(&report),
        Err(why) => {
            errln!("{why}");
            ExitCode::from(2)
        }
    }
}

async fn attack(arguments: &Arguments) -> Result<Report, String> {
    let running = arguments.stack.as_deref().map(read::<Running>).transpose()?;
    let (gateway, tls) = gateway(&arguments.url, arguments.ca.as_deref())?;
    let target = Target {
        gateway,
        tls,
        admin: arguments.admin.as_deref().map(admin).transpose()?,
        services: running.as_ref().map(services).unwrap_or_default(),
        insider: match (&arguments.stack, &running) {
            (Some(stack), Some(running)) => insider(stack, running).await?,
            _ => None,
        },
    };
    let arena = Arena::prepare(target).await.map_err(|stop| match stop {
        Stop::Failed(how) => format!(
            "{} is not ready to be attacked (start it with make up):\n{how}",
            arguments.url
        ),
        Stop::Skipped(why) => why.to_owned(),
    })?;
    Ok(run(&arena, &arguments.only, &mut |line| outln!("{line}")).await)
}

fn gateway(url: &str, ca: Option<&Path>) -> Result<(String, Option<Trust>), String> {
    let (host, port, trust) = match (url.strip_prefix("http://"), url.strip_prefix("https://"), ca) {
        (Some(host), _, _) => (host, 80, None),
        (None, Some(host), Some(ca)) => (host, 443, Some(Trust::of(ca)?)),
        (None, Some(_), None) => return Err("a URL with https:// needs --ca".to_owned()),
        (None, None, _) => return Err("the URL must begin with http:// or https://".to_owned()),
    };
    let host = host.trim_end_matches('/');
    let address = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    Ok((address, trust))
}

fn admin(path: &Path) -> Result<(String, String), String> {
    let admin: Admin = read(path)?;
    Ok((admin.email, admin.password))
}

fn services(running: &Running) -> Vec<(String, String)> {
    let addresses = running.processes.iter().filter_map(|process| {
        let port = process.ports.get("http")?;
        Some((process.name.clone(), format!("127.0.0.1:{port}")))
    });
    addresses.collect()
}

async fn insider(stack: &Path, running: &Running) -> Result<Option<Insider>, String> {
    let auth = running.processes.iter().find(|process| process.name == "auth");
    match auth.and_then(|auth| auth.database_url.as_deref()) {
        Some(database) => Insider::of(&stack.with_file_name("keys.json"), database)
            .await
            .map(Some),
        None => Ok(None),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn tell(report: &Report) -> ExitCode {
    outln!(
        "\n{} withstood, {} skipped, {} NOT withstood",
        report.passed,
        report.skipped.len(),
        report.failed.len()
    );
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, why) in &report.skipped {
        skipped.entry(why).or_default().push(id);
    }
    for (why, ids) in skipped {
        outln!("{} skipped, each {why}: {}", ids.len(), ids.join(" "));
    }
    if report.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
