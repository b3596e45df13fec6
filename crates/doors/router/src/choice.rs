//! Which dyno a request goes to: a random one (Heroku Dev Center, "HTTP Routing", "Request distribution").

/// What is known of a dyno when one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// This request was there already.
    pub(crate) tried: bool,
    /// A connection to it failed in the last seconds.
    pub(crate) quarantined: bool,
}

/// The index of the dyno to try: random among the healthy, else, as a quarantine is only a guess, among all that were
/// not tried; `None` when all were.
pub(crate) fn choose(candidates: impl Iterator<Item = Candidate> + Clone, random: u64) -> Option<usize> {
    let fresh = candidates.enumerate().filter(|(_, candidate)| !candidate.tried);
    let healthy = fresh.clone().filter(|(_, candidate)| !candidate.quarantined);
    pick(healthy, random).or_else(|| pick(fresh, random))
}

fn pick(mut among: impl Iterator<Item = (usize, Candidate)> + Clone, random: u64) -> Option<usize> {
    let count = among.clone().count() as u64;
    let nth = usize::try_from(random.checked_rem(count)?).ok()?;
    among.nth(nth).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: Candidate = Candidate { tried: false, quarantined: false };
    const TRIED: Candidate = Candidate { tried: true, quarantined: false };
    const ILL: Candidate = Candidate { tried: false, quarantined: true };

    fn choices(candidates: &[Candidate]) -> Vec<Option<usize>> {
        (0..4).map(|random| choose(candidates.iter().copied(), random)).collect()
    }

    #[test]
    fn any_healthy_dyno_may_be_chosen() {
        assert_eq!(choices(&[HEALTHY, HEALTHY]), [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(choices(&[TRIED, ILL, HEALTHY]), [Some(2); 4]);
    }

    #[test]
    fn a_quarantined_one_is_better_than_none() {
        assert_eq!(choices(&[TRIED, ILL]), [Some(1); 4]);
        assert_eq!(choices(&[TRIED]), [None; 4]);
        assert_eq!(choices(&[]), [None; 4]);
    }
}
