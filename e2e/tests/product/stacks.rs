//! A stack that the operator imported: Docker Hub cannot be reached from a test, so a registry of our own serves an
//! image that is made of Debian's packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::{Client, Failure, Registry, RegistryLayer, ensure, run};

/// The image's layers: a small Debian, and over it a change as a build of an image would leave it.
fn layers(folder: &Path) -> Result<[RegistryLayer; 2], Failure> {
    let system = folder.join("system.tar");
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap.args(["--mode=root", "--variant=essential", "--format=tar", "trixie"]).arg(&system);
    run(&mut mmdebstrap)?.good()?;
    let (change, second) = (folder.join("change"), folder.join("change.tar"));
    fs::create_dir_all(change.join("etc"))?;
    fs::create_dir_all(change.join("usr/share"))?;
    fs::write(change.join("etc/os-release"), "PRETTY_NAME=\"Ours 1\"\n")?;
    fs::write(change.join("etc/ours"), "imported\n")?;
    fs::write(change.join("etc/.wh.debian_version"), "")?;
    fs::write(change.join("usr/share/.wh.zoneinfo"), "")?;
    run(Command::new("tar").arg("-cf").arg(&second).arg("-C").arg(&change).args(["--owner=0", "--group=0", "."]))?
        .good()?;
    run(Command::new("gzip").args(["-1", "-k"]).arg(&system))?.good()?;
    run(Command::new("zstd").args(["-q", "-k"]).arg(&second))?.good()?;
    let layer = |tar: &Path, packed: &str| -> Result<RegistryLayer, Failure> {
        Ok(RegistryLayer { tar: fs::read(tar)?, packed: fs::read(folder.join(packed))? })
    };
    Ok([layer(&system, "system.tar.gz")?, layer(&second, "change.tar.zst")?])
}

pub fn an_imported_stack_is_chosen_built_on_and_run_on(client: &Client) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::serve(&layers(folder.path())?)?;
    let slipway = |words: &[&str]| client.platform.slipway(words);
    let refused = slipway(&["stack", "import", "No_Name", &registry.reference()])?.bad()?;
    ensure!(refused.stderr.contains("lower-case letters"), "{}", refused.both());
    let told = slipway(&["stack", "import", "ours-1", &registry.reference()])?.good()?;
    ensure!(told.stdout.contains("Ours 1") && told.stdout.contains("Stack ours-1: imported"), "{}", told.both());
    let again = slipway(&["stack", "import", "ours-1", &registry.reference()])?.bad()?;
    ensure!(again.stderr.contains("--replace"), "{}", again.both());

    let repository = client.repository("static-site")?;
    let app = repository.create()?;
    repository.heroku(&["apps:stacks:set", "ours-1"])?.good()?;
    let stacks = repository.heroku(&["apps:stacks"])?.good()?;
    ensure!(stacks.both().contains("ours-1"), "apps:stacks lacks it: {}", stacks.both());
    let pushed = repository.push()?.good()?;
    ensure!(
        pushed.stderr.contains("Building on the Ours-1 stack") || pushed.stderr.contains("Building on the"),
        "{}",
        pushed.stderr
    );
    ensure!(client.get(&app, "/")?.status == 200, "the site is not served");
    let system =
        repository.heroku(&["run", "--exit-code", "--", "cat /etc/ours /etc/os-release; ls /etc/debian_version"])?;
    ensure!(system.both().contains("imported") && system.both().contains("Ours 1"), "{}", system.both());
    ensure!(system.both().contains("cannot access"), "a hidden file is there: {}", system.both());

    let listed = slipway(&["stack", "list"])?.good()?;
    let line = listed.stdout.lines().find(|line| line.starts_with("ours-1")).unwrap_or_default();
    ensure!(line.contains(" 1  ") && line.contains(&registry.digest), "{}", listed.both());
    let kept = slipway(&["stack", "remove", "ours-1"])?.bad()?;
    ensure!(kept.stderr.contains(&app), "the app is not named: {}", kept.both());
    client.platform.kill("engine")?;
    repository.heroku(&["ps:restart"])?;
    e2e::until("the stack is there after the engine's restart", || {
        let system = repository.heroku(&["run", "cat /etc/ours"])?;
        Ok(system.both().contains("imported"))
    })?;
    repository.heroku(&["apps:destroy", "--app", &app, "--confirm", &app])?.good()?;
    slipway(&["stack", "remove", "ours-1"])?.good()?;
    let gone = client.repository("hello")?;
    let refused = gone.heroku(&["create", "--stack", "ours-1"])?.bad()?;
    ensure!(refused.both().contains("no such stack"), "{}", refused.both());
    Ok(())
}
