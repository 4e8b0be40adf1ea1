use std::process::ExitCode;

fn main() -> ExitCode {
    codeccloud::cli::main()
}
