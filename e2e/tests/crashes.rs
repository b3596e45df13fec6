//! Crashes: every step of a deploy and of an upgrade cut by SIGKILL, everything killed at once, the power cut. Each has a platform of its
//! own. `SLIPWAY_SOAK=N` does N times as much.

mod crash {
    pub mod deploys;
    pub mod everything;
    pub mod power;
    pub mod upgrades;
}

use std::process::ExitCode;

use e2e::Failure;

type Act = fn(u32) -> Result<(), Failure>;

fn main() -> ExitCode {
    let soak = std::env::var("SLIPWAY_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let all: [(&str, Act); 5] = [
        ("deploys::a_crash_at_any_step_leaves_n_or_n_plus_1", crash::deploys::a_crash_at_any_step_leaves_n_or_n_plus_1),
        ("deploys::a_supervisor_that_dies_on_its_way_up", crash::deploys::a_supervisor_that_dies_on_its_way_up),
        (
            "upgrades::a_supervisor_that_dies_in_an_upgrade_is_gone_back_from",
            crash::upgrades::a_supervisor_that_dies_in_an_upgrade_is_gone_back_from,
        ),
        ("everything::killed_at_once_is_healed_by_up", crash::everything::killed_at_once_is_healed_by_up),
        ("power::nothing_acknowledged_is_lost", crash::power::nothing_acknowledged_is_lost),
    ];
    e2e::act(&all, |act| act(soak))
}
