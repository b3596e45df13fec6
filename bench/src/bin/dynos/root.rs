//! The one root that everybody starts from: a shell, `echo`, `sleep` and their libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Failure, run};

const FOLDERS: [&str; 11] = ["app", "bin", "dev", "etc", "home", "proc", "run", "sys", "tmp", "usr/bin", "var/tmp"];
const PROGRAMS: [&str; 3] = ["bash", "echo", "sleep"];
const USERS: &str = "root:x:0:0::/:/bin/bash\ndyno:x:1000:1000::/app:/bin/bash\n";

/// Makes `folder/root` and, for our engine, the two images of a stack in `folder/stacks/bench`.
pub(crate) fn make(folder: &Path) -> Result<PathBuf, Failure> {
    let root = folder.join("root");
    for name in FOLDERS {
        fs::create_dir_all(root.join(name))?;
    }
    for name in PROGRAMS {
        copy_program(&Path::new("/usr/bin").join(name), &root)?;
    }
    fs::copy("/usr/bin/bash", root.join("bin/bash"))?;
    fs::write(root.join("etc/passwd"), USERS)?;
    let (stack, empty) = (folder.join("stacks/bench"), folder.join("empty"));
    fs::create_dir_all(&stack)?;
    fs::create_dir_all(&empty)?;
    squash(&root, &stack.join("run.sqfs"))?;
    squash(&empty, &stack.join("build-delta.sqfs"))?;
    Ok(root)
}

fn copy_program(program: &Path, root: &Path) -> Result<(), Failure> {
    let libraries = run(Command::new("ldd").arg(program))?.good()?.stdout;
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for file in std::iter::once(program).chain(libraries) {
        let target = root.join(file.strip_prefix("/")?);
        fs::create_dir_all(target.parent().ok_or("a file lies in a folder")?)?;
        fs::copy(file, target)?;
    }
    Ok(())
}

fn squash(root: &Path, image: &Path) -> Result<(), Failure> {
    let mut command = Command::new("mksquashfs");
    run(command.args([root, image]).args(["-all-root", "-quiet", "-no-progress", "-noappend"]))?.good()?;
    Ok(())
}
