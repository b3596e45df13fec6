//! What a dyno sources before its command, and what the buildpacks that follow get.

use std::fs;
use std::io;

use crate::builtin::Site;
use crate::environment::quote;

/// Sourced at the start of every dyno. The rule for `WEB_CONCURRENCY` is Heroku's: memory by `WEB_MEMORY` (512 MB), at
/// least 1 and at most 200; beyond that the limit that was read is no limit.
const PROFILE: &str = r#"export NODE_HOME="$HOME/.heroku/node"
export PATH="$HOME/.heroku/node/bin:$HOME/.heroku/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_ENV="${NODE_ENV:-production}"

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
  local count=$((MEMORY_AVAILABLE / WEB_MEMORY))
  if [ "$count" -lt 1 ] || [ "$count" -gt 200 ]; then count=1; fi
  echo "$count"
}

export WEB_MEMORY="${WEB_MEMORY:-512}"
export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$(slipway_memory_mb)}"
export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$(slipway_web_concurrency)}"
unset -f slipway_memory_mb slipway_web_concurrency
"#;

/// Writes `.profile.d/nodejs.sh` into the app and `export` into the buildpack's folder.
pub(super) fn write(site: &Site<'_>) -> io::Result<()> {
    let folder = site.build.join(".profile.d");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("nodejs.sh"), PROFILE)?;
    let node = site.layout.runtimes().join("node");
    let (node, build) = (quote(&node.display().to_string()), quote(&site.build.display().to_string()));
    let export = format!(
        "export PATH={node}/bin:{build}/.heroku/bin:\"$PATH\":{build}/node_modules/.bin\nexport NODE_HOME={node}\n"
    );
    fs::write(site.own.join("export"), export)
}
