//! The lines, word for word as Heroku writes them.

use engine::MemoryUsage;
use store::dynos::Dyno;
use vocabulary::DynoSize;

use crate::load::Load;

/// `source=web.1 dyno=heroku.APP.DYNO sample#load_avg_1m=0.00 …`
pub(crate) fn load(dyno: &Dyno, load: &Load) -> String {
    let [one, five, fifteen] = load.averages();
    let name = name(dyno);
    format!("{name} sample#load_avg_1m={one:.2} sample#load_avg_5m={five:.2} sample#load_avg_15m={fifteen:.2}")
}

/// `source=web.1 dyno=heroku.APP.DYNO sample#memory_total=21.22MB …`. The pages are left out where the kernel does not
/// count them (cgroup v2).
pub(crate) fn memory(dyno: &Dyno, memory: &MemoryUsage) -> String {
    let total = memory.total_bytes().saturating_add(memory.cache_bytes);
    let mut samples = vec![
        ("memory_total", mb(total)),
        ("memory_rss", mb(memory.rss_bytes)),
        ("memory_cache", mb(memory.cache_bytes)),
        ("memory_swap", mb(memory.swap_bytes)),
    ];
    if let Some(pages) = memory.pages {
        samples.push(("memory_pgpgin", format!("{}pages", pages.brought_in)));
        samples.push(("memory_pgpgout", format!("{}pages", pages.given_back)));
    }
    samples.push(("memory_quota", mb(dyno.size.memory_mib() << 20)));
    let samples = samples.into_iter().map(|(sample, value)| format!(" sample#{sample}={value}"));
    std::iter::once(name(dyno)).chain(samples).collect()
}

/// R14, if the dyno holds more than its size's memory.
pub(crate) fn quota_exceeded(size: DynoSize, memory: &MemoryUsage) -> Vec<String> {
    let (total, quota) = (memory.total_bytes(), size.memory_mib() << 20);
    if total <= quota {
        return vec![];
    }
    vec![launch::lines::running(total, quota), "Error R14 (Memory quota exceeded)".to_owned()]
}

fn name(dyno: &Dyno) -> String {
    format!("source={} dyno=heroku.{}.{}", dyno.name, dyno.app_id, dyno.id)
}

/// Two digits behind the point, as Heroku has them.
#[expect(clippy::cast_precision_loss, reason = "bytes of a machine are far below 2^53")]
fn mb(bytes: u64) -> String {
    format!("{:.2}MB", bytes as f64 / f64::from(1 << 20))
}
