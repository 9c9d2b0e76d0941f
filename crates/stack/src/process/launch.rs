//! Starts processes, each in a group of its own, tied to this program or detached from it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};

use nix::sys::signal::Signal;

use super::{Process, which};
use crate::error::{Error, IoContext, Result};
use crate::proc;

/// Whether a process ends with its starter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The kernel sends this signal when the starting program ends, however it ends.
    Tied(Signal),
    /// It goes on after the starting program.
    Detached,
}

/// An account to run a program as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What to start and how.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Name in messages and in the state file.
    pub name: String,
    /// Program to run.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment on top of the inherited one.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// File that gets standard output and error, appended.
    pub log: PathBuf,
    /// Account to run as, where it is not this program's.
    pub account: Option<Account>,
    /// Whether it ends with this program.
    pub lifetime: Lifetime,
}

impl Launch {
    /// A tied process with no arguments.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            directory: None,
            log: log.into(),
            account: None,
            lifetime: Lifetime::Tied(Signal::SIGKILL),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds environment variables.
    #[must_use]
    pub fn env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env.extend(env);
        self
    }

    /// Runs as `account`, when given.
    #[must_use]
    pub fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Sets when it ends.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Starts it in a process group of its own.
    pub fn start(self) -> Result<Process> {
        if let Some(directory) = self.log.parent() {
            std::fs::create_dir_all(directory).at("create", directory)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .at("open", &self.log)?;
        let child = launch(self.command(log)?).map_err(|source| Error::Spawn {
            program: self.program.display().to_string(),
            source,
        })?;
        let pid = child.id();
        Ok(Process {
            name: self.name,
            pid,
            started: proc::start_time(pid).unwrap_or_default(),
            log: self.log,
            child: Some(child),
            lifetime: self.lifetime,
        })
    }

    fn command(&self, log: File) -> Result<Command> {
        let mut setpriv = Vec::new();
        if let Some(account) = &self.account {
            setpriv.extend([
                format!("--reuid={}", account.uid),
                format!("--regid={}", account.gid),
                "--clear-groups".to_owned(),
            ]);
        }
        if let Lifetime::Tied(signal) = self.lifetime {
            setpriv.extend([
                "--pdeathsig".to_owned(),
                signal.as_str().trim_start_matches("SIG").to_owned(),
            ]);
        }
        let mut command = match (setpriv.is_empty(), which("setpriv")) {
            (true, _) => Command::new(&self.program),
            (false, Some(launcher)) => {
                let mut command = Command::new(launcher);
                command.args(setpriv).arg("--").arg(&self.program);
                command
            }
            // Without util-linux a killed test leaves its children behind; nothing else is lost.
            (false, None) if self.account.is_none() => Command::new(&self.program),
            (false, None) => {
                return Err(Error::Missing {
                    what: "setpriv".to_owned(),
                    hint: "install util-linux, or run as an ordinary user".to_owned(),
                });
            }
        };
        let errors = log.try_clone().at("open", &self.log)?;
        command
            .args(&self.args)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors))
            .process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        Ok(command)
    }
}

type Job = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// Forks on the one thread that lives as long as the program.
fn launch(command: Command) -> std::io::Result<Child> {
    static LAUNCHER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (answer, started) = mpsc::sync_channel(1);
    LAUNCHER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(std::io::Error::other)?;
    started.recv().map_err(std::io::Error::other)?
}
