//! `cargo stack`: see the library's page.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    steelyard_stack::main(steelyard_stack::Cli::parse())
}
