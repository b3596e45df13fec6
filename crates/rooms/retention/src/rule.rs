//! Which slugs are kept.

use std::collections::{BTreeSet, HashSet};

use store::releases::Holding;
use vocabulary::{AppId, ReleaseStatus, SlugId, Timestamp};

/// How long slugs are kept.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// So many of an app's newest releases keep theirs.
    pub releases: i64,
    /// Releases made after this keep theirs.
    pub since: Timestamp,
    /// So many of an app's newest releases have theirs as images on the host.
    pub warm: i64,
}

/// What becomes of the slugs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// These go.
    pub gone: BTreeSet<SlugId>,
    /// These stay as blobs alone: none of their releases is new enough, or needed, to have images on the host.
    pub cold: BTreeSet<SlugId>,
}

/// Judges every slug that is not deleted by the releases that name it; `holdings` has of each app the newest first.
#[must_use]
pub fn judge(holdings: &[Holding], rule: &Rule) -> Verdict {
    let mut have_current: HashSet<AppId> = HashSet::new();
    let (mut kept, mut warm) = (BTreeSet::new(), BTreeSet::new());
    for holding in holdings {
        // The current release is the newest that succeeded.
        let is_current = holding.status == ReleaseStatus::Succeeded && have_current.insert(holding.app_id);
        let is_needed = is_current || holding.status == ReleaseStatus::Pending || holding.has_dynos;
        if is_needed || holding.newer < rule.releases || holding.created_at > rule.since {
            kept.insert(holding.slug_id);
        }
        if is_needed || holding.newer < rule.warm {
            warm.insert(holding.slug_id);
        }
    }
    let gone = holdings.iter().map(|holding| holding.slug_id).filter(|slug| !kept.contains(slug)).collect();
    Verdict { gone, cold: kept.difference(&warm).copied().collect() }
}

#[cfg(test)]
mod tests {
    use vocabulary::ReleaseId;

    use super::*;

    /// The rule of the tests: the newest 3, and what was made after the moment 100; the newest 2 are warm.
    const RULE: Rule = Rule { releases: 3, since: Timestamp::from_micros(100), warm: 2 };

    struct Case {
        app: AppId,
        holdings: Vec<Holding>,
    }

    impl Case {
        fn new() -> Self {
            Self { app: AppId::new(), holdings: Vec::new() }
        }

        /// One more release of the app, older than those before, with a slug of its own.
        fn release(&mut self, status: ReleaseStatus, newer: i64, micros: i64) -> SlugId {
            let slug = SlugId::new();
            self.release_of(slug, status, newer, micros);
            slug
        }

        fn release_of(&mut self, slug: SlugId, status: ReleaseStatus, newer: i64, micros: i64) {
            self.holdings.push(Holding {
                id: ReleaseId::new(),
                app_id: self.app,
                slug_id: slug,
                status,
                newer,
                has_dynos: false,
                created_at: Timestamp::from_micros(micros),
            });
        }

        fn gone(&self) -> Vec<SlugId> {
            judge(&self.holdings, &RULE).gone.into_iter().collect()
        }

        fn cold(&self) -> Vec<SlugId> {
            judge(&self.holdings, &RULE).cold.into_iter().collect()
        }
    }

    use ReleaseStatus::{Failed, Pending, Succeeded};

    #[test]
    fn the_newest_releases_keep_their_slugs_and_an_older_one_does_not() {
        let mut case = Case::new();
        for newer in 0..3 {
            case.release(Succeeded, newer, 0);
        }
        assert_eq!(case.gone(), []);
        let fourth = case.release(Succeeded, 3, 0);
        assert_eq!(case.gone(), [fourth]);
    }

    #[test]
    fn releases_without_a_slug_of_their_own_count() {
        let mut case = Case::new();
        let current = case.release(Succeeded, 0, 0);
        case.release_of(current, Succeeded, 1, 0);
        case.release_of(current, Succeeded, 2, 0);
        let before = case.release(Succeeded, 3, 0);
        assert_eq!(case.gone(), [before]);
    }

    #[test]
    fn a_young_release_keeps_its_slug_however_many_are_newer() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 300);
        case.release(Succeeded, 40, 101);
        let old = case.release(Succeeded, 41, 100);
        assert_eq!(case.gone(), [old]);
    }

    #[test]
    fn the_current_release_keeps_its_slug_however_old_it_is() {
        let mut case = Case::new();
        case.release(Failed, 0, 0);
        let current = case.release(Succeeded, 50, 0);
        let before = case.release(Succeeded, 51, 0);
        assert_eq!((case.gone(), case.cold().contains(&current)), (vec![before], false));
    }

    #[test]
    fn a_pending_release_keeps_its_slug() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 0);
        case.release(Pending, 50, 0);
        assert_eq!((case.gone(), case.cold()), (vec![], vec![]));
    }

    #[test]
    fn a_release_that_a_dyno_runs_keeps_its_slug() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 0);
        case.release(Succeeded, 50, 0);
        case.holdings[1].has_dynos = true;
        assert_eq!((case.gone(), case.cold()), (vec![], vec![]));
    }

    #[test]
    fn a_slug_stays_while_one_of_its_releases_keeps_it() {
        let mut case = Case::new();
        let back_to = case.release(Succeeded, 0, 0);
        let between = case.release(Succeeded, 50, 0);
        case.release_of(back_to, Succeeded, 51, 0);
        assert_eq!(case.gone(), [between]);
    }

    #[test]
    fn a_failed_release_keeps_its_slug_as_long_as_another_would() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 0);
        case.release(Failed, 2, 0);
        let older = case.release(Failed, 3, 0);
        assert_eq!(case.gone(), [older]);
    }

    #[test]
    fn an_app_does_not_count_for_another() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 0);
        case.app = AppId::new();
        case.release(Succeeded, 9, 0);
        assert_eq!((case.gone(), case.cold()), (vec![], vec![]));
    }

    #[test]
    fn the_newest_are_warm_and_the_others_are_blobs_alone() {
        let mut case = Case::new();
        case.release(Succeeded, 0, 0);
        case.release(Succeeded, 1, 0);
        let third = case.release(Succeeded, 2, 0);
        assert_eq!((case.gone(), case.cold()), (vec![], vec![third]));
    }
}
