//! A supervisor that dies at a step of an upgrade is no end of the platform: its guard goes on with the older program.

use std::fs;
use std::path::PathBuf;

use crashpoints::Point;
use e2e::{Client, CrashPoints, Failure, Load, Platform, ensure};

/// Requests a second to the app, throughout.
const RATE: u32 = 40;

/// Kills the supervisor at each point of an upgrade, then upgrades undisturbed.
pub fn a_supervisor_that_dies_in_an_upgrade_is_gone_back_from(_: u32) -> Result<(), Failure> {
    let points = CrashPoints::new()?;
    let folder = points.folder().to_string_lossy().into_owned();
    let mut platform = Platform::start_with(&["--crash-points", &folder])?;
    let other = e2e::another_build(&platform)?;
    let (app, before) = {
        let client = Client::new(&platform)?;
        let app = client.deploy_app("versions")?;
        client.get_until(&app, "/", |response| response.status == 200)?;
        (app, running(&platform)?)
    };
    let upgrade = ["upgrade", "--binary", &other.display().to_string()];
    for point in Point::ALL.iter().filter(|point| point.name().starts_with("upgrade.")) {
        let load = Load::start_at(platform.address(), &format!("{app}.localhost"), RATE);
        points.arm(point.name(), 1)?;
        let said = platform.slipway(&upgrade)?.bad()?.both();
        ensure!(points.fired(), "the upgrade did not reach {}: {said}", point.name());
        if *point == Point::UpgradeReplaced {
            // No guard yet: it is as if the supervisor had been killed at any other time.
            platform.up_again()?;
        } else {
            ensure!(said.contains("ended while it took over"), "killed at {}: {said}", point.name());
        }
        let report = load.finish();
        ensure!(report.failed.is_empty() && report.good > 20, "killed at {}: {report:?}", point.name());
        let after = running(&platform)?;
        ensure!(after == before, "killed at {}, it runs {after:?}: {said}", point.name());
        let client = Client::new(&platform)?;
        e2e::until("the API answers", || Ok(client.api("GET", "/apps", "")?.status == 200))?;
        e2e::until("one dyno is all it holds", || Ok(platform.held()?.fits(1)))?;
        println!("  {:<20} gone back from; {} requests, none lost", point.name(), report.good);
    }
    // The one that was a guard goes on as any other.
    platform.slipway(&upgrade)?.good()?;
    ensure!(running(&platform)?.iter().all(|program| *program == other), "it runs {:?}", running(&platform)?);
    platform.end()
}

/// The programs of supervisor and engine; that of control may be a copy.
fn running(platform: &Platform) -> Result<Vec<PathBuf>, Failure> {
    let pids = [platform.current_supervisor()?, platform.role("engine")?];
    pids.iter().map(|pid| Ok(fs::read_link(format!("/proc/{pid}/exe"))?)).collect()
}
