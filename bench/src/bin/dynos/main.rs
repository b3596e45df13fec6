//! How fast a dyno starts and what it costs, beside `crun`, `runc`, `podman` and `docker`.
//!
//! Everybody starts the same root with the same limits: 512 MB, 256 processes, no capability, a filter of kernel calls,
//! namespaces of its own. Ours has more to do: a network with rules, a writable layer of a fixed size, its output kept. All
//! are asked in one run, in an order that is shuffled each round. Needs root; who is not installed is left out.
//!
//! ```text
//! dynos [ROUNDS [IDLE]]    rounds [40], idle dynos for the density [200]
//! ```

mod density;
mod docker;
mod left;
mod oci;
mod ours;
mod podman;
mod process;
mod root;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use bench::Figures;
use e2e::Failure;

use docker::Docker;
use oci::Oci;
use ours::Ours;
use podman::Podman;

const ROUNDS: usize = 40;
const IDLE: usize = 200;
const WARM_UP: usize = 3;
/// Between two starts, so that the one before has really ended.
const PAUSE: Duration = Duration::from_millis(25);
/// For starts per second.
const MANY: usize = 200;

/// What everybody is limited to.
struct Limited {
    memory_bytes: u64,
    processes: u32,
}

const LIMITS: Limited = Limited { memory_bytes: 512 << 20, processes: 256 };

/// One start: until the first byte of output was heard, and until everything of it was gone.
#[derive(Debug, Clone, Copy)]
struct Times {
    first: Duration,
    total: Duration,
}

/// Somebody who starts containers.
trait Method {
    fn name(&self) -> String;
    fn once(&mut self) -> Result<Times, Failure>;
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["engine", install, folder] => ours::serve(install, Path::new(folder))?,
        ["inside", rest @ ..] => measure(rest)?,
        rest => return in_a_namespace(rest),
    }
    Ok(ExitCode::SUCCESS)
}

/// In a mount namespace of its own: nothing stays mounted, and `crun` refuses a cgroup2 with controllers beside v1, as some
/// hosts have at `unified`.
fn in_a_namespace(arguments: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg("! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec \"$0\" inside \"$@\"");
    let status = command.arg(std::env::current_exe()?).args(arguments).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(arguments: &[&str]) -> Result<(), Failure> {
    let number = |place: usize, usual| arguments.get(place).map_or(Ok(usual), |text| text.parse::<usize>());
    let (rounds, idle) = (number(0, ROUNDS)?, number(1, IDLE)?);
    let folder = Folder::new()?;
    let root = root::make(folder.path())?;
    let mut ours = Ours::start(folder.path())?;
    latency(&mut ours, folder.path(), &root, rounds)?;
    for at_a_time in [1, 4] {
        let took = ours.many(MANY, at_a_time)?;
        let rate = f64::from(u32::try_from(MANY)?) / took.as_secs_f64();
        println!(
            "slipway, {MANY} dynos that start, say hello and are removed, {at_a_time} at a time: {rate:.0} a second"
        );
    }
    density::measure(&ours, idle)
}

fn latency(ours: &mut Ours, folder: &Path, root: &Path, rounds: usize) -> Result<(), Failure> {
    let mut others: Vec<Box<dyn Method>> = vec![];
    for program in ["crun", "runc"] {
        if installed(program) {
            others.push(Box::new(Oci::new(program, folder, root)?));
        }
    }
    if installed("podman") {
        others.push(Box::new(Podman::new(folder, root)?));
    }
    if installed("dockerd") {
        others.push(Box::new(Docker::start(folder, root)?));
    }
    let mut methods: Vec<&mut dyn Method> = vec![ours];
    methods.extend(others.iter_mut().map(|other| &mut **other as &mut dyn Method));
    let mut figures = vec![(Figures::default(), Figures::default()); methods.len()];
    let mut order = Order::new();
    for round in 0..WARM_UP + rounds {
        for place in order.of(methods.len()) {
            let times = methods[place].once().map_err(|error| format!("{}: {error}", methods[place].name()))?;
            if round >= WARM_UP {
                figures[place].0.add(times.first);
                figures[place].1.add(times.total);
            }
            thread::sleep(PAUSE);
        }
    }
    tell(&methods.iter().map(|method| method.name()).collect::<Vec<_>>(), &figures, rounds);
    Ok(())
}

fn tell(names: &[String], figures: &[(Figures, Figures)], rounds: usize) {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    // Of crun where it is there, else of ourselves.
    let mark = names.iter().position(|name| name == "crun").unwrap_or(0);
    let (first_of, total_of) = (figures[mark].0.median(), figures[mark].1.median());
    println!("start to first byte and to its end, {rounds} rounds, shuffled (ms; ratio to {}):\n", names[mark]);
    println!("  {:<22}{:>8}{:>8}{:>8}{:>8}{:>10}{:>8}", "", "p10", "p50", "p90", "ratio", "end p50", "ratio");
    for (name, (first, total)) in names.iter().zip(figures) {
        let ratio = |of: Duration, to: Duration| of.as_secs_f64() / to.as_secs_f64();
        println!(
            "  {name:<22}{:>8.1}{:>8.1}{:>8.1}{:>8.2}{:>10.1}{:>8.2}",
            ms(first.percentile(10)),
            ms(first.median()),
            ms(first.percentile(90)),
            ratio(first.median(), first_of),
            ms(total.median()),
            ratio(total.median(), total_of),
        );
    }
    println!();
}

fn installed(program: &str) -> bool {
    let found = ["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(program).exists());
    if !found {
        println!("{program} is not installed: left out");
    }
    found
}

/// Shuffles; which numbers come does not matter, as long as no order is kept.
struct Order(u64);

impl Order {
    fn new() -> Self {
        Self(u64::from(std::process::id()) | 1)
    }

    fn of(&mut self, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            // xorshift64
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            places.swap(last, usize::try_from(self.0 % (last as u64 + 1)).unwrap_or_default());
        }
        places
    }
}

/// A folder that is gone with us; users without rights pass it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("slipway-bench-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.0).status());
    }
}
