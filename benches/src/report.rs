//! Rows as a table to read and as a record to keep.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `FREEHOLD_ROUNDS` | how many rounds (31); 0 for criterion's measurements alone |
//! | `FREEHOLD_CRITERION` | `0` leaves criterion's measurements out |
//! | `FREEHOLD_CSV` | where to write the record |
//! | `FREEHOLD_ONLY` | only the kinds of work whose name contains this |
//! | `FREEHOLD_COMMIT` | what the record calls the commit, where there is no `git` to ask |

use std::fmt::Write as _;
use std::process::Command;
use std::{env, fs, thread};

use crate::rounds::{Result, Row};

/// The floor that ratios are over, where a row has it.
const FLOOR: &str = "floor: load+CAS";

/// How many rounds are wanted.
pub fn rounds() -> usize {
    env::var("FREEHOLD_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(31)
}

/// Whether this kind of work is wanted.
pub fn wanted(workload: &str) -> bool {
    env::var("FREEHOLD_ONLY").map_or(true, |only| workload.contains(&only))
}

/// Whether criterion is wanted.
pub fn criterion_wanted() -> bool {
    env::var("FREEHOLD_CRITERION").map_or(true, |value| value != "0")
}

/// Prints the lines of a record with their columns aligned.
pub fn columns(csv: &str) {
    for line in csv.lines() {
        let mut cells = line.split(',');
        println!(
            "{:<18}{}",
            cells.next().unwrap_or_default(),
            cells.map(|cell| format!("{cell:>36}")).collect::<String>()
        );
    }
}

/// Says what was measured, where and how, and writes it above the record.
pub fn record(bench: &str, csv: &str) {
    let header = header(bench);
    println!("\n{header}");
    if let Ok(path) = env::var("FREEHOLD_CSV") {
        fs::write(&path, format!("# {header}\n{csv}")).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// One line a contender under each kind of work, and what there is to remark.
pub(crate) fn table(row: &Row) -> String {
    let mut text = format!("\n{:<34} {:>10} {:>10} {:>11}\n", row.workload, "median ns", "min ns", "over floor");
    for result in &row.results {
        let (name, median, min) = (&result.contender, result.median_ns, result.min_ns);
        let (ratio, remarks) = (ratio(row, result, 2), remarks(row, result));
        _ = writeln!(text, "  {name:<32} {median:>10.1} {min:>10.1} {ratio:>11}{remarks}");
    }
    text
}

fn remarks(row: &Row, result: &Result) -> String {
    let mut text = speed_up(row, result).map_or(String::new(), |times| format!("   {times:.2} x one thread"));
    for (share, what) in [(result.refused, "refused"), (result.disturbed, "disturbed")] {
        if share > 0.0 {
            _ = write!(text, "   {:.1}% {what}", share * 100.0);
        }
    }
    text
}

/// The rows as a record.
pub(crate) fn csv(rows: &[Row]) -> String {
    let mut text = String::from("workload,contender,median_ns,min_ns,over_floor,refused_share,disturbed_share\n");
    for row in rows {
        for result in &row.results {
            let (work, name) = (row.workload.replace(',', ";"), result.contender.replace(',', ";"));
            let (median, min, ratio) = (result.median_ns, result.min_ns, ratio(row, result, 3));
            let (refused, disturbed) = (result.refused, result.disturbed);
            _ = writeln!(text, "{work},{name},{median:.2},{min:.2},{ratio},{refused:.5},{disturbed:.2}");
        }
    }
    text
}

/// Over the floor of the row, where it has one: medians.
fn ratio(row: &Row, result: &Result, digits: usize) -> String {
    let floor = row.results.iter().find(|result| result.contender.starts_with(FLOOR));
    floor.map_or(String::new(), |floor| format!("{:.digits$}", result.median_ns / floor.median_ns))
}

/// How often the rate of the same contender on one thread, where a row has both.
fn speed_up(row: &Row, result: &Result) -> Option<f64> {
    let (name, _) = result.contender.rsplit_once(", ").filter(|(_, threads)| threads.ends_with('T'))?;
    let one = row.results.iter().find(|other| other.contender == format!("{name}, 1T"))?;
    Some(one.median_ns / result.median_ns)
}

/// Date, commit, machine, how busy it is, and the command.
fn header(bench: &str) -> String {
    let date = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    let commit = env::var("FREEHOLD_COMMIT").ok().or_else(|| output("git", &["describe", "--always", "--dirty"]));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let unknown = || "unknown".to_owned();
    format!(
        "{bench}; {}; commit {}; {}, {cores} cores, load {}; {} rounds; {}",
        date.unwrap_or_else(unknown),
        commit.unwrap_or_else(unknown),
        processor().unwrap_or_else(unknown),
        load.split(' ').next().unwrap_or_default(),
        rounds(),
        env::args().collect::<Vec<_>>().join(" "),
    )
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(": ").map(|(_, name)| name.to_owned())
}

fn output(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
