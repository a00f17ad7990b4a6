//! The program: arguments in, exit code out, nothing else.

mod cli;
mod http;
mod registry;

fn main() -> std::process::ExitCode {
    cli::main()
}
