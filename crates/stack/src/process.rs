//! Child processes that never outlive what they belong to.
//!
//! A process is either *tied* to this one, and is killed by the kernel when this one ends however it ends, or
//! *detached*, and then found again by its pid and start time. The kernel's parent-death signal follows the
//! *thread* that forked, so every tied process is forked by one thread that lives as long as the program.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

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
            stop_at_drop: self.lifetime != Lifetime::Detached,
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

/// A started process. Dropping a tied one kills its whole group and waits for the end.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    started: u64,
    log: PathBuf,
    child: Option<Child>,
    stop_at_drop: bool,
}

impl Process {
    /// Finds a process again that an earlier program started; `None` when it is gone.
    pub fn find(name: &str, pid: u32, started: u64, log: &Path) -> Option<Self> {
        (proc::is_running(pid) && proc::start_time(pid) == Some(started)).then(|| Self {
            name: name.to_owned(),
            pid,
            started,
            log: log.to_owned(),
            child: None,
            stop_at_drop: false,
        })
    }

    /// Name given at start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process id, also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Start time in clock ticks since boot: with the pid it names the process for ever.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => proc::is_running(self.pid) && proc::start_time(self.pid) == Some(self.started),
        }
    }

    /// Sends a signal to the process alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            // It may end between the look and the signal, which is what was wanted anyway.
            let _ = kill(pid_of(self.pid), signal);
        }
    }

    /// Sends a signal to the process and all it started.
    pub fn signal_group(&mut self, signal: Signal) {
        let _ = killpg(pid_of(self.pid), signal);
    }

    /// Asks it to end with `signal`, waits, and kills its group when it has not ended by then. Returns true when
    /// it ended by itself.
    pub async fn stop(&mut self, signal: Signal, patience: Duration) -> bool {
        self.signal(signal);
        // A stopped process takes its signal only when it goes on.
        self.signal(Signal::SIGCONT);
        let obeyed = self.ended_within(patience).await;
        if !obeyed {
            self.kill().await;
        }
        self.stop_at_drop = false;
        obeyed
    }

    /// Kills the process and its group at once and waits until they are gone.
    pub async fn kill(&mut self) {
        self.signal_group(Signal::SIGKILL);
        self.ended_within(Duration::from_secs(10)).await;
    }

    /// Waits for its end.
    pub async fn ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self) -> String {
        tail(&self.log, 12)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.stop_at_drop {
            return;
        }
        self.signal_group(Signal::SIGKILL);
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
    }
}

/// The last `lines` lines of a file, empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// Finds a program in PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// Runs a program to its end and returns what it printed; its failure is an error with the end of its output.
pub async fn run(mut command: Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let name = program.clone();
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|gone| Error::Invalid(format!("{name}: {gone}")))?
        .map_err(|source| Error::Spawn {
            program: program.clone(),
            source,
        })?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let text = printed + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let end = lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n");
    Err(Error::Command {
        program,
        status: output.status.to_string(),
        output: end,
    })
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
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
