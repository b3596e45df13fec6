//! Names for apps that were given none: adjective, noun, number.

use vocabulary::AppName;

const ADJECTIVES: [&str; 32] = [
    "amber", "ancient", "autumn", "bold", "brisk", "calm", "clear", "coral", "crisp", "dawn", "deep", "early", "fair",
    "gentle", "golden", "hidden", "humble", "icy", "late", "lively", "lucid", "mellow", "misty", "open", "pale",
    "quiet", "rapid", "salty", "silver", "steady", "still", "warm",
];
const NOUNS: [&str; 32] = [
    "anchor", "bay", "beacon", "breeze", "bridge", "canal", "cliff", "cove", "current", "delta", "dock", "dune",
    "ferry", "fjord", "harbor", "haven", "island", "keel", "lagoon", "mast", "oar", "pier", "port", "reef", "river",
    "sail", "shore", "sound", "spring", "strait", "tide", "wave",
];

/// A name such as `calm-harbor-48213`; one in a hundred million.
pub(crate) fn generate() -> Option<AppName> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    let random = usize::try_from(u64::from_le_bytes(bytes) >> 1).ok()?;
    let (adjective, noun) = (ADJECTIVES.get(random % 32)?, NOUNS.get(random / 32 % 32)?);
    format!("{adjective}-{noun}-{:05}", random / 1024 % 100_000).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_generated_name_is_one() {
        for _ in 0..200 {
            assert!(generate().is_some());
        }
    }
}
