//! Bad requests for every endpoint (A2): made up from the table of endpoints and the published schema, each the same
//! for the same seed, sent to the whole API over a real store.
//!
//! What must hold, whatever is sent: no panic, no 5xx but 501 for what is not built; an error is JSON with `id` and
//! `message`, or a page; it has changed nothing in the record; a good answer is what the schema says; and what was
//! stored comes back as it was sent.
//!
//! `HOSTILE_SEED=n` begins elsewhere; `HOSTILE_SECONDS=n` goes on for so long in place of the usual few thousand
//! requests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without its fixture must stop")]

mod bodies;
mod promises;
mod random;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod values;
mod world;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use api::Endpoint;
use schema_check::Schema;

use crate::random::Random;
use crate::world::World;

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::published);
/// What panicked, and where.
static PANICS: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Where the usual run begins.
const SEED: u64 = 20_261_123;
/// How often the usual run goes through the table.
const ROUNDS: u64 = 15;
/// After so many requests the world is made anew: it fills with what was stored.
const WORLD: u64 = 3000;
/// After so many requests the caller's limit is as at the start: an hour's requests are sent in seconds.
const LIMITS: u64 = 1500;
/// How often it is looked whether the world still stands.
const LOOK: u64 = 40;

/// How many answers of each status each endpoint gave.
type Statuses = BTreeMap<u16, u64>;

#[tokio::test]
async fn whatever_is_sent_no_endpoint_breaks() {
    let (seed, longest) = (setting("HOSTILE_SEED").unwrap_or(SEED), setting("HOSTILE_SECONDS"));
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.lock().unwrap().push(panic.to_string());
        usual(panic);
    }));
    let (endpoints, began) = (api::endpoints(), Instant::now());
    let (mut statuses, mut wrong) = (BTreeMap::<String, Statuses>::new(), vec![]);
    let (mut sent, mut round, mut world) = (0, 0, World::new().await);
    while longest.map_or(round < ROUNDS, |longest| began.elapsed() < Duration::from_secs(longest)) && wrong.len() < 20 {
        for endpoint in &endpoints {
            sent += 1;
            let case = seed.wrapping_mul(1_000_003).wrapping_add(sent);
            if let Some(status) = one(&mut world, endpoint, case, &mut wrong).await {
                *statuses
                    .entry(format!("{} {}", endpoint.method, endpoint.path))
                    .or_default()
                    .entry(status)
                    .or_default() += 1;
            }
            if sent % LIMITS == 0 {
                world.api.fresh_limits();
            }
            if sent % WORLD == 0 || sent % LOOK == 0 && !world.stands().await {
                world = World::new().await;
            }
        }
        round += 1;
    }
    report(seed, sent, began.elapsed(), &statuses);
    assert!(wrong.is_empty(), "seed {seed}: {} promises broken:\n\n{}", wrong.len(), wrong.join("\n\n"));
    every_endpoint_was_reached(&endpoints, &statuses);
}

/// One request and what must hold of its answer; its status.
async fn one(world: &mut World, endpoint: &Endpoint, case: u64, wrong: &mut Vec<String>) -> Option<u16> {
    let mut random = Random::new(case);
    let attack = requests::make(&mut random, world, endpoint);
    let answer = promises::sent(world, &attack).await?;
    let mut broken = promises::of_answer(&attack, &answer);
    let changed = world.changed().await;
    broken.extend(promises::of_record(&answer, changed));
    broken.extend(promises::of_memory(world, endpoint, &attack, &answer).await);
    broken.extend(std::mem::take(&mut *PANICS.lock().unwrap()));
    if !broken.is_empty() {
        let answer = answer.text.chars().take(600).collect::<String>();
        wrong.push(format!("case {case}: {}\n{attack}\n=> {answer}", broken.join("; ")));
    }
    Some(answer.status.as_u16())
}

/// Requests that nothing was meant to be wrong with have to get further than the first refusal.
fn every_endpoint_was_reached(endpoints: &[Endpoint], statuses: &BTreeMap<String, Statuses>) {
    let total = |wanted: fn(u16) -> bool| -> u64 {
        statuses.values().flatten().filter(|(status, _)| wanted(**status)).map(|(_, count)| count).sum()
    };
    let (good, all) = (total(|status| status < 400), total(|_| true));
    assert!(
        good * 4 > all,
        "only {good} of {all} requests were answered well: the corpus does not reach what it tests"
    );
    for endpoint in endpoints {
        assert!(statuses.contains_key(&format!("{} {}", endpoint.method, endpoint.path)), "{endpoint:?} was not asked");
    }
}

#[expect(clippy::print_stderr, reason = "the figure of a long run")]
fn report(seed: u64, sent: u64, took: Duration, statuses: &BTreeMap<String, Statuses>) {
    let mut total = Statuses::new();
    for (status, count) in statuses.values().flatten() {
        *total.entry(*status).or_default() += count;
    }
    eprintln!("seed {seed}: {sent} requests in {:.1} s, by status {total:?}", took.as_secs_f64());
}

#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
