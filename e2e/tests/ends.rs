//! The ends of a platform: `slipway down` that is cut off, or that finds its data folder gone. Whatever happened before,
//! one more `slipway down` leaves nothing of the install on the machine. And the ends of a database under it.

mod ends {
    pub mod record;
}

use std::fs;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Client, Failure, Platform, ensure};
use ends::record;

type Act = fn() -> Result<(), Failure>;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let all: [(&str, Act); 3] = [
        ("ends::a_down_that_is_cut_off_is_finished_by_the_next", a_down_that_is_cut_off_is_finished_by_the_next),
        ("ends::an_install_whose_data_folder_is_gone_ends", an_install_whose_data_folder_is_gone_ends),
        (
            "record::a_platform_lives_on_postgres_and_moves_to_a_file",
            record::a_platform_lives_on_postgres_and_moves_to_a_file,
        ),
    ];
    let (mut passed, mut failed) = (0, 0);
    for (name, act) in all.into_iter().filter(|(name, _)| name.contains(&filter)) {
        let begun = Instant::now();
        let outcome = act();
        let took = begun.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("scenario {name} ... ok ({took:.1} s)");
            }
            Err(failure) => {
                failed += 1;
                println!("scenario {name} ... FAILED ({took:.1} s)\n{failure}\n");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
