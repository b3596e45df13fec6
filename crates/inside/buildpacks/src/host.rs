//! The program's side of a Build instance: takes the descriptors of the contract and hands the report back.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, RawFd};
use std::path::Path;
use std::process::ExitCode;

use inside_contract::{BuildReport, BuildRequest, CACHE_FD, REPORT_FD, REQUEST_FD, Runtime, SLUG_FD};

use crate::layout::Layout;
use crate::output::Output;
use crate::sequence::{self, Channels};
use crate::stack_runtime;

/// Largest request: config vars are limited to 32 KiB each and far less together.
const REQUEST_LIMIT: u64 = 16 << 20;

/// Runs the build this instance was made for. The descriptors are taken, and so hidden from every program started
/// later, before anything else happens.
pub(crate) fn build(out: &Output) -> ExitCode {
    match taken(out) {
        Ok(code) => code,
        Err(error) => {
            out.error(&format!("The build could not be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn taken(out: &Output) -> io::Result<ExitCode> {
    let (report, request) = (take(REPORT_FD)?, take(REQUEST_FD)?);
    let (slug, cache) = (take(SLUG_FD)?, take(CACHE_FD)?);
    let source = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let request = read(request)?;
    let channels = Channels { source: Box::new(source), slug: Box::new(slug), cache: Box::new(cache), out };
    let outcome = sequence::run(&request, channels, &Layout::inside());
    send(report, &outcome)?;
    Ok(if matches!(outcome, BuildReport::Failed { .. }) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes a runtime of the stack's own Python, and says which it is.
pub(crate) fn stack_python(out: &Output) -> ExitCode {
    let written = || -> io::Result<()> {
        let (mut report, slug) = (take(REPORT_FD)?, take(SLUG_FD)?);
        let version = stack_runtime::python_version()?;
        stack_runtime::python(Path::new("/"), version, slug)?;
        let runtime = Runtime { name: "python".to_owned(), version: version.to_string() };
        report.write_all(&serde_json::to_vec(&runtime)?)
    };
    match written() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&format!("The stack's own Python could not be packed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A descriptor of the contract, which no program that is started later sees.
fn take(number: RawFd) -> io::Result<File> {
    sys::descriptors::inherited(number).map(File::from)
}

fn read(request: File) -> io::Result<BuildRequest> {
    let mut bytes = Vec::new();
    request.take(REQUEST_LIMIT).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn send(mut report: File, outcome: &BuildReport) -> io::Result<()> {
    report.write_all(&serde_json::to_vec(outcome)?)
}

/// The program's own standard output, as a file that children share.
pub(crate) fn standard_output() -> io::Result<Output> {
    Ok(Output::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}
