//! What a push asks for, by the references it changes.

use crate::frame::Update;

/// The branches whose push is a deploy.
const DEPLOYED: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

/// What is done with a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Build this commit; the push is taken if the build succeeds.
    Deploy(String),
    /// Take it without a build, and say so.
    Take(&'static str),
    /// Refuse it, and say why.
    Refuse(&'static str),
}

/// The plan for a push.
pub(crate) fn plan(updates: &[Update]) -> Plan {
    let deploys: Vec<&Update> =
        updates.iter().filter(|update| DEPLOYED.contains(&update.name.as_str()) && !is_zero(&update.new)).collect();
    match deploys.as_slice() {
        [] if updates.iter().any(|update| update.name.starts_with("refs/heads/") && !is_zero(&update.new)) => {
            Plan::Take(
                "Pushed to non-main branch, skipping build.\nTo deploy, push to main: git push heroku <branch>:main\n",
            )
        }
        [] => Plan::Take(""),
        [update] if is_commit(&update.new) => Plan::Deploy(update.new.clone()),
        [_] => Plan::Refuse(" !     The push names no commit.\n"),
        _ => Plan::Refuse(" !     Push either main or master: both at once would be two deploys.\n"),
    }
}

fn is_zero(object: &str) -> bool {
    object.bytes().all(|byte| byte == b'0')
}

/// SHA-1 or SHA-256, so that what is handed to git as an argument is nothing else.
pub(crate) fn is_commit(object: &str) -> bool {
    matches!(object.len(), 40 | 64) && object.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, new: &str) -> Update {
        Update { old: "0".repeat(40), new: new.repeat(40), name: name.to_owned() }
    }

    #[test]
    fn main_or_master_is_a_deploy() {
        for name in DEPLOYED {
            assert_eq!(plan(&[update(name, "a")]), Plan::Deploy("a".repeat(40)));
        }
        let with_others = [update("refs/heads/x", "b"), update("refs/tags/v1", "c"), update("refs/heads/main", "a")];
        assert_eq!(plan(&with_others), Plan::Deploy("a".repeat(40)));
    }

    #[test]
    fn other_branches_are_taken_with_a_word_and_deletions_and_tags_without() {
        assert!(
            matches!(plan(&[update("refs/heads/x", "a")]), Plan::Take(text) if text.starts_with("Pushed to non-main"))
        );
        assert_eq!(plan(&[update("refs/heads/x", "0")]), Plan::Take(""));
        assert_eq!(plan(&[update("refs/heads/main", "0")]), Plan::Take(""));
        assert_eq!(plan(&[update("refs/tags/v1", "a")]), Plan::Take(""));
    }

    #[test]
    fn two_deploys_at_once_and_a_strange_object_are_refused() {
        assert!(matches!(plan(&[update("refs/heads/main", "a"), update("refs/heads/master", "b")]), Plan::Refuse(_)));
        assert!(matches!(plan(&[update("refs/heads/main", "-")]), Plan::Refuse(_)));
    }
}
