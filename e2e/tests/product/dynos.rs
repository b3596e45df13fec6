//! What a dyno may use, and what its app's log says of it.

use e2e::{Client, Failure, Repository, ensure, until};

pub fn memory_beyond_the_size_is_told_and_far_beyond_it_is_the_end(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("hello")?;
    repository.heroku(&["labs:enable", "log-runtime-metrics"])?.good()?;
    let greedy = takes(&repository, 600)?;
    until("it is told of its memory", || Ok(log(&repository, &greedy)?.contains("Error R14 (Memory quota exceeded)")))?;
    let lines = log(&repository, &greedy)?;
    ensure!(lines.contains("Process running mem=60") && lines.contains("M(11"), "R14 without its memory: {lines}");
    for sample in
        ["sample#load_avg_1m=", "sample#memory_total=", "sample#memory_rss=60", "sample#memory_quota=512.00MB"]
    {
        ensure!(lines.contains(sample), "{sample} is missing: {lines}");
    }
    ensure!(repository.heroku(&["ps"])?.good()?.stdout.contains(&greedy), "R14 ended the dyno");
    repository.heroku(&["ps:stop", "--dyno-name", &greedy])?.good()?;
    let glutton = takes(&repository, 1_200)?;
    until("it is ended", || Ok(log(&repository, &glutton)?.contains("Process exited with status 137")))?;
    let lines = log(&repository, &glutton)?;
    for wanted in ["Process running mem=1024M(200.0%)", "Error R15 (Memory quota vastly exceeded)"] {
        ensure!(lines.contains(wanted), "{wanted:?} is missing: {lines}");
    }
    Ok(())
}

/// Starts a dyno that takes so many MiB of memory and keeps them; its name.
fn takes(repository: &Repository<'_>, mib: u32) -> Result<String, Failure> {
    let program = format!("perl -e 'open F, \"</dev/zero\"; sysread F, $x, {mib} << 20; sleep 600'");
    let started = repository.heroku(&["run:detached", "--", &program])?.good()?;
    super::run::name_in(&started)
}

fn log(repository: &Repository<'_>, dyno: &str) -> Result<String, Failure> {
    Ok(repository.heroku(&["logs", "--num", "500", "--dyno-name", dyno])?.good()?.stdout)
}
