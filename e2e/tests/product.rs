//! The product's promises, acted out with real clients on a real platform.

fn main() -> std::process::ExitCode {
    e2e::main(&[])
}
