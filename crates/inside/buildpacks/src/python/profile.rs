//! What a dyno sources before its command, and what the buildpacks that follow get.

use std::fs;
use std::io;

use crate::builtin::Site;

/// Sourced at the start of every dyno. The variables are those of Heroku's buildpack. `WEB_CONCURRENCY` is by its rule: a
/// process for each 256 MB of memory, and at most two for each processor and one more.
const PROFILE: &str = r#"export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED=true
export PYTHONHOME="$HOME/.heroku/python"
export LIBRARY_PATH="$HOME/.heroku/python/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
export LD_LIBRARY_PATH="$HOME/.heroku/python/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LANG="${LANG:-en_US.UTF-8}"
export PYTHONPATH="${PYTHONPATH:-$HOME}"
# The router is the only one who can reach the app, and says itself where a request came from.
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS:-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"

slipway_memory_mb() {
  local file limit
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    if [ -r "$file" ]; then
      read -r limit < "$file"
      case "$limit" in
        '' | *[!0-9]*) ;;
        *) if [ "${#limit}" -lt 16 ]; then echo $((limit / 1048576)); return; fi ;;
      esac
    fi
  done
  echo 512
}

slipway_web_concurrency() {
  local by_memory=$((${MEMORY_AVAILABLE:-$(slipway_memory_mb)} / 256)) by_processors=$(($(nproc) * 2 + 1))
  local count=$((by_memory < by_processors ? by_memory : by_processors))
  if [ "$count" -lt 1 ]; then count=1; fi
  echo "$count"
}

export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$(slipway_web_concurrency)}"
unset -f slipway_memory_mb slipway_web_concurrency
"#;

/// Writes `.profile.d/python.sh` into the app and `export` into the buildpack's folder.
pub(super) fn write(site: &Site<'_>) -> io::Result<()> {
    let folder = site.build.join(".profile.d");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("python.sh"), PROFILE)?;
    let python = crate::environment::quote(&site.layout.runtimes().join("python").display().to_string());
    let export = format!(
        "export PATH={python}/bin:\"$PATH\"\nexport PYTHONUNBUFFERED=true\nexport PYTHONHOME={python}\n\
         export LIBRARY_PATH={python}/lib\"${{LIBRARY_PATH:+:$LIBRARY_PATH}}\"\n\
         export LD_LIBRARY_PATH={python}/lib\"${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n"
    );
    fs::write(site.own.join("export"), export)
}
