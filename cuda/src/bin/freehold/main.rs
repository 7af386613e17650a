//! The command `freehold`: replay recorded traces against one bounded card, find how tightly they pack, say what is here.
//!
//! The files in the order in which the data meets them: `args`, `trace`, then one of `replay`, `pack`, `info`.
//! Exit codes are part of the contract: 0, whatever was refused; 1, a byte was wrong; 2, the input was bad, with one line on stderr.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

mod args;
mod device;
mod failure;
mod trace;

mod info;
mod pack;
mod replay;
mod report;

use args::{Command, CommandLine};
use failure::Failure;

fn main() -> ExitCode {
    let done = match CommandLine::try_parse() {
        Ok(line) => run(line.command),
        Err(asked) if matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => asked.exit(),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("freehold: {failure}");
        ExitCode::from(2)
    })
}

fn run(command: Option<Command>) -> Result<ExitCode, Failure> {
    match command {
        None => replay::main_job(),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Pack(args)) => pack::run(&args).map(|()| ExitCode::SUCCESS),
        Some(Command::Info(args)) => info::run(&args).map(|()| ExitCode::SUCCESS),
    }
}
