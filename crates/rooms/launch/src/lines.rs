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
        assert_eq!(exited(137), "Process exited with status 137");
    }
}
