//! What can be switched of an app, by what it changes.

use e2e::{Client, Failure, Repository, ensure, until};

pub fn dynos_are_told_what_they_are(client: &Client) -> Result<(), Failure> {
    let (repository, app) = client.deploy("hello")?;
    ensure!(repository.heroku(&["labs"])?.good()?.stdout.contains("[ ] runtime-dyno-metadata"), "not listed as off");
    let told = repository.heroku(&["labs:info", "runtime-dyno-metadata"])?.good()?;
    ensure!(told.stdout.contains("false"), "labs:info said: {}", told.both());
    ensure!(!client.get(&app, "/")?.text().contains("\"release\""), "a dyno knows its release unasked");
    repository.heroku(&["labs:enable", "runtime-dyno-metadata"])?.good()?;
    repository.heroku(&["config:set", "GREETING=Servus"])?.good()?;
    client.get_until(&app, "/", |answer| answer.text().contains("\"release\": \"v4\""))?;
    let commit = repository.git(&["rev-parse", "HEAD"])?.good()?.stdout;
    let line = "echo $HEROKU_APP_NAME $HEROKU_SLUG_COMMIT $HEROKU_SLUG_DESCRIPTION";
    let run = repository.heroku(&["run", "-x", "--", line])?.good()?.stdout;
    let short: String = commit.chars().take(8).collect();
    ensure!(run.trim() == format!("{app} {} Deploy {short}", commit.trim()), "a one-off dyno is told {run:?}");
    repository.heroku(&["labs:disable", "runtime-dyno-metadata"])?.good()?;
    repository.heroku(&["ps:restart"])?.good()?;
    client.get_until(&app, "/", |answer| answer.status == 200 && !answer.text().contains("\"release\""))?;
    repository.heroku(&["labs:enable", "no-such-feature"])?.bad()?;
    Ok(())
}

pub fn without_preboot_the_old_web_stops_first(client: &Client) -> Result<(), Failure> {
    let (repository, _) = client.deploy("hello")?;
    ensure!(repository.heroku(&["features"])?.good()?.stdout.contains("[+] preboot"), "preboot is not on");
    let told = repository.heroku(&["features:info", "preboot"])?.good()?;
    ensure!(told.stdout.contains("true"), "features:info said: {}", told.both());
    let (stopped, started) = replaced(&repository, 1)?;
    ensure!(started < stopped, "with preboot the old web stops before the new starts");
    repository.heroku(&["features:disable", "preboot"])?.good()?;
    let (stopped, started) = replaced(&repository, 2)?;
    ensure!(stopped < started, "without preboot the new web starts before the old stops");
    repository.heroku(&["features:enable", "preboot"])?.good()?;
    let (stopped, started) = replaced(&repository, 3)?;
    ensure!(started < stopped, "preboot is on again, and the old web stops before the new starts");
    repository.heroku(&["features:enable", "preboot"])?.bad()?;
    Ok(())
}

/// Restarts the only web dyno, for the so manieth time; answers where in the log the old one is told to stop and where
/// the new one starts.
fn replaced(repository: &Repository<'_>, time: usize) -> Result<(usize, usize), Failure> {
    let log = || Ok::<_, Failure>(repository.heroku(&["logs", "--num", "500"])?.good()?.stdout);
    repository.heroku(&["ps:restart"])?.good()?;
    let (stops, starts) =
        ("heroku[web.1]: Stopping all processes with SIGTERM", "heroku[web.1]: Starting process with");
    let ended = "heroku[web.1]: Process exited";
    until("the old web ended and the new one started", || {
        let log = log()?;
        Ok(log.matches(ended).count() >= time && log.matches(starts).count() > time)
    })?;
    let log = log()?;
    let last = |line: &str| log.rfind(line).ok_or_else(|| format!("{line:?} is missing: {log}"));
    Ok((last(stops)?, last(starts)?))
}
