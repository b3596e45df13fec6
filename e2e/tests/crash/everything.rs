//! Everything is killed at once: supervisor, engine, control, router, the parents of dynos, dynos, builds.

use std::thread;
use std::time::{Duration, Instant};

use e2e::{Client, Failure, Platform, ensure, until};

/// How long after `slipway up` has come up everything must be at rest.
const REST: Duration = Duration::from_secs(10);

/// Later and later into a push: each time `slipway up` takes away what is left and brings everything back.
pub fn killed_at_once_is_healed_by_up(soak: u32) -> Result<(), Failure> {
    let mut platform = Platform::start()?;
    let app = {
        let client = Client::new(&platform)?;
        let app = client.deploy_app("versions")?;
        client.get_until(&app, "/", |response| response.status == 200)?;
        app
    };
    let mut slowest = Duration::ZERO;
    for round in 0..4 * soak {
        // A second app, whose push is under way when the end comes.
        let second = {
            let client = Client::new(&platform)?;
            let repository = client.repository_of_app("versions")?;
            let second = repository.create()?;
            let mut push = repository.begin_push()?;
            thread::sleep(Duration::from_millis(u64::from(round % 8) * 500));
            platform_killed(&mut push)?;
            second
        };
        platform.kill_everything()?;
        platform.up_again()?;
        let begun = Instant::now();
        let client = Client::new(&platform)?;
        client.get_until(&app, "/", |response| response.status == 200)?;
        // A release whose phase was cut off has failed: half of what it did may be done, and nothing runs on it.
        let ended = || -> Result<Option<usize>, Failure> {
            let [builds, releases] =
                ["builds", "releases"].map(|what| client.api("GET", &format!("/apps/{second}/{what}"), ""));
            let (builds, releases) = (builds?, releases?);
            let is_good = builds.status == 200 && releases.status == 200;
            let (builds, releases) = (builds.text(), releases.text());
            let is_done = is_good && ![&builds, &releases].iter().any(|text| text.contains("\"pending\""));
            let runs = builds.contains("\"succeeded\"") && !releases.contains("\"failed\"");
            Ok(is_done.then_some(usize::from(runs)))
        };
        until("the push under way has an outcome, and as much is held as runs", || {
            let more = ended()?;
            Ok(more.is_some_and(|more| platform.held().is_ok_and(|held| held.fits(1 + more))))
        })
        .map_err(|failure| state(&platform, &client, &[&app, &second], &failure))?;
        slowest = slowest.max(begun.elapsed());
        client.api("DELETE", &format!("/apps/{second}"), "")?;
        until("the second app is gone", || Ok(platform.held()?.fits(1)))
            .map_err(|failure| state(&platform, &client, &[&app, &second], &failure))?;
    }
    println!("  killed {} times; the slowest was healed after {:.1} s", 4 * soak, slowest.as_secs_f64());
    ensure!(slowest <= REST, "healed after {:.1} s only", slowest.as_secs_f64());
    platform.end()
}

/// What did not hold, and what there is instead.
fn state(platform: &Platform, client: &Client, apps: &[&str], failure: &Failure) -> String {
    let ask =
        |path: String| client.api("GET", &path, "").map_or_else(|error| error.to_string(), |answer| answer.text());
    let told = apps.iter().map(|app| {
        let [dynos, builds, releases] = ["dynos", "builds", "releases"].map(|what| ask(format!("/apps/{app}/{what}")));
        format!("{app}: dynos {dynos} builds {builds} releases {releases}\n")
    });
    format!("{failure}: {:?}\n{}{}", platform.held(), told.collect::<String>(), platform.log_tail())
}

/// The client's side of a push goes as well.
fn platform_killed(push: &mut std::process::Child) -> Result<(), Failure> {
    push.kill()?;
    push.wait()?;
    Ok(())
}
