//! Our own programs, as instances see them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::InstancesConfig;

/// Copies the programs to `DATA/programs` under their names inside. Each is replaced as a whole, so that an instance
/// that starts meanwhile finds the old or the new one; running ones keep the file they have.
pub(super) fn install(config: &InstancesConfig) -> io::Result<PathBuf> {
    let folder = config.data.join("programs");
    fs::create_dir_all(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    for (name, source) in &config.programs {
        let new = folder.join(format!("{name}.new"));
        let copied = fs::copy(source, &new);
        copied.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", source.display())))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        fs::rename(new, folder.join(name))?;
    }
    Ok(folder)
}
