//! The ends of a platform: `slipway down` that is cut off, or that finds its data folder gone. Whatever happened before,
//! one more `slipway down` leaves nothing of the install on the machine. And the ends of a database under it.

mod ends {
    pub mod record;
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use e2e::{Client, Failure, Platform, ensure};
use ends::record;

type Act = fn() -> Result<(), Failure>;

fn main() -> ExitCode {
    let all: [(&str, Act); 4] = [
        ("ends::a_down_that_is_cut_off_is_finished_by_the_next", a_down_that_is_cut_off_is_finished_by_the_next),
        ("ends::an_install_whose_data_folder_is_gone_ends", an_install_whose_data_folder_is_gone_ends),
        ("ends::doctor_mends_what_runs_and_what_died", doctor_mends_what_runs_and_what_died),
        (
            "record::a_platform_lives_on_postgres_and_moves_to_a_file",
            record::a_platform_lives_on_postgres_and_moves_to_a_file,
        ),
    ];
    e2e::act(&all, |act| act())
}

/// A platform that serves an app.
fn serving() -> Result<Platform, Failure> {
    let platform = Platform::start()?;
    let client = Client::new(&platform)?;
    let (_repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    drop(client);
    Ok(platform)
}

fn a_down_that_is_cut_off_is_finished_by_the_next() -> Result<(), Failure> {
    let mut platform = serving()?;
    let install = platform.install()?;
    // Further and further into its work: each one finds what the one before left.
    for after in [20, 100, 200, 400, 800, 1200] {
        let mut down = platform.down()?.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(after));
        down.kill()?;
        down.wait()?;
    }
    platform.take_down(&install)
}

fn an_install_whose_data_folder_is_gone_ends() -> Result<(), Failure> {
    let mut platform = serving()?;
    let install = platform.install()?;
    ensure!(!e2e::leftovers(&install, &platform.data())?.is_empty(), "nothing of a running platform is found");
    // Control still writes there.
    while platform.data().exists() {
        drop(fs::remove_dir_all(platform.data()));
    }
    platform.take_down(&install)?;
    ensure!(!platform.data().exists(), "slipway down made the data folder anew");
    Ok(())
}

/// While the platform runs, and while only its apps do, what was broken is mended and nothing that runs is touched. Once
/// everything was killed, what is left is taken away, and the platform comes up again.
fn doctor_mends_what_runs_and_what_died() -> Result<(), Failure> {
    let mut platform = Platform::start()?;
    let install = platform.install()?;
    let client = Client::new(&platform)?;
    let (_repository, app) = client.deploy("hello")?;
    client.get_until(&app, "/", |response| response.status == 200)?;
    drop(client);
    let keys = platform.data().join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o777))?;
    let told = platform.slipway(&["doctor", "--repair", "--json"])?.stdout;
    ensure!(told.contains(r#""repairs""#) && told.contains("keys mode 700"), "doctor: {told}");
    ensure!(fs::metadata(&keys)?.permissions().mode() & 0o777 == 0o700, "the keys stay open");
    platform.interrupt()?;
    let table = format!("slipway-{install}");
    ensure!(Command::new("nft").args(["delete", "table", "inet", &table]).status()?.success(), "no table {table}");
    let told = platform.slipway(&["doctor", "--repair"])?.stdout;
    ensure!(told.contains("mended") && told.contains(&table), "doctor: {told}");
    ensure!(!told.contains("leftovers"), "doctor took away what serves: {told}");
    let told = platform.slipway(&["doctor", "--repair"])?.stdout;
    ensure!(told.contains("found nothing that could be mended"), "a second time: {told}");
    platform.resume(None)?;
    Client::new(&platform)?.get_until(&app, "/", |response| response.status == 200)?;
    platform.kill_everything()?;
    let told = platform.slipway(&["doctor", "--repair"])?.stdout;
    ensure!(told.contains("took away what a platform that died left"), "doctor: {told}");
    platform.up_again()?;
    Client::new(&platform)?.get_until(&app, "/", |response| response.status == 200)?;
    platform.take_down(&install)
}
