//! The lines in an app's log that every instance gets, word for word as Heroku writes them.

/// `Starting process with command`.
#[must_use]
pub fn starting(command: &str) -> String {
    format!("Starting process with command `{command}`")
}

/// `State changed from up to crashed`.
#[must_use]
pub fn state_changed(from: &str, to: &str) -> String {
    format!("State changed from {from} to {to}")
}

/// `Process running mem=528M(103.3%)`: of `quota` bytes, `bytes` are used.
#[must_use]
pub fn running(bytes: u64, quota: u64) -> String {
    let per_mille = u128::from(bytes) * 1000 / u128::from(quota.max(1));
    format!("Process running mem={}M({}.{}%)", bytes >> 20, per_mille / 10, per_mille % 10)
}

/// `Process exited with status 1`.
#[must_use]
pub fn exited(status: i32) -> String {
    format!("Process exited with status {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_for_word() {
        assert_eq!(starting("node index.js"), "Starting process with command `node index.js`");
        assert_eq!(state_changed("starting", "up"), "State changed from starting to up");
        assert_eq!(running(529 << 20, 512 << 20), "Process running mem=529M(103.3%)");
        assert_eq!(exited(137), "Process exited with status 137");
    }
}
