//! What `/proc` knows of a process.

/// Fields of `/proc/<pid>/stat` after the command name, which may hold spaces and brackets.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Start time in clock ticks since boot (field 22 of proc(5)).
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// Processes that `pid` started, and those that they started.
pub fn descendants(pid: u32) -> Vec<u32> {
    descendants_of(&[pid])
}

/// Processes that any of `roots` started, and those that they started, by one look at all processes.
pub fn descendants_of(roots: &[u32]) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all()
        .into_iter()
        .filter_map(|child| Some((child, stat(child)?.get(1)?.parse().ok()?)))
        .collect();
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(child, _)| child),
        );
        next += 1;
    }
    found.split_off(roots.len())
}

/// Processes whose environment at start held `variable=value`.
pub fn marked(variable: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{variable}={value}");
    all()
        .into_iter()
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == wanted.as_bytes())
                && is_running(*pid)
        })
        .collect()
}

fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// True when the process exists and is no zombie.
pub fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// True when the process, all its threads with it, is stopped by a signal.
pub fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state == "T"))
}

/// Name of the program, at most 15 characters.
pub fn name(pid: u32) -> Option<String> {
    Some(
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .ok()?
            .trim_end()
            .to_owned(),
    )
}

/// Memory of one process.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// The most that was ever resident.
    pub peak_bytes: u64,
}

/// Memory of a process, zero when it is gone.
pub fn memory(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line
            .trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        Some(kib * 1024)
    };
    Memory {
        resident_bytes: field("VmRSS").unwrap_or(0),
        peak_bytes: field("VmHWM").unwrap_or(0),
    }
}

/// Processor time in seconds of a process and of its children that have ended.
pub fn cpu_s(pid: u32) -> f64 {
    let ticks_a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .unwrap_or(100);
    let ticks_a_second = u32::try_from(ticks_a_second).unwrap_or(100);
    let fields = stat(pid).unwrap_or_default();
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
    let ticks: u32 = fields
        .iter()
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / f64::from(ticks_a_second)
}

/// Memory of a process with its share of what it shares with others; zero where it may not be seen.
pub fn proportional_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("Pss:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or_default() * 1024
}

/// True when the program's file has been replaced or removed since the process was started, e.g. by a new build.
pub fn is_outdated(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|program| program.to_string_lossy().ends_with(" (deleted)"))
}
