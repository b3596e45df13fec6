//! What the platform keeps: its database, and what people elsewhere know it by.

use std::path::Path;

use store::{About, Database};

use super::finding::{Finding, ok, problem, warning};
use crate::layout::Layout;
use crate::settings::Settings;
use crate::supervisor::of_install;
use crate::users::Users;

pub(super) fn all(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![record(settings)];
    findings.extend(authority(&settings.data));
    findings
}

/// The database that holds the record.
fn record(settings: &Settings) -> Finding {
    let named = settings.database_url.as_ref().and_then(|url| url.reveal().parse().ok());
    let database = match Layout::open(&settings.data) {
        Ok(Some(layout)) => of_install(named, &layout),
        _ => Ok(named.unwrap_or_else(|| settings.data.join("store/slipway.db").as_path().into())),
    };
    let database = match database {
        Ok(database) => database,
        Err(error) => return problem("record", "it cannot be found", error.to_string()),
    };
    match as_the_owner(&database) {
        Err(error) => problem("record", format!("it cannot be used ({database})"), chain(&error)),
        Ok(about) if about.is_current == Some(false) => warning(
            "record",
            format!("its schema is another version's ({}; {database})", about.version),
            "`slipway up` or `slipway db migrate` brings an older one up to date",
        ),
        Ok(about) if !about.is_private => warning(
            "record",
            format!("it travels unencrypted ({}; {database})", about.version),
            "add sslmode=verify-full to its URL",
        ),
        Ok(about) => ok("record", format!("in {}: {database}", about.version)),
    }
}

/// Looks as the user that owns the record, once there is one: a server may know users by who they are here.
fn as_the_owner(database: &Database) -> Result<About, store::Error> {
    let look = || {
        if let Ok(owner) = Users::find_control() {
            // Only this thread, which ends with the look; without being root, one looks as who one is.
            owner.become_it().unwrap_or_default();
        }
        crate::block_on(store::about(database))
    };
    let broke = || store::Error::Unfit("looking at it broke");
    std::thread::scope(|scope| scope.spawn(look).join().unwrap_or_else(|_| Err(broke())))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What people elsewhere know this platform by; nothing before its first start.
fn authority(data: &Path) -> Option<Finding> {
    let layout = Layout::open(data).ok()??;
    let fingerprint = crate::ca::fingerprint(&layout).ok()?;
    Some(ok("authority", format!("fingerprint {fingerprint} (for `slipway connect` elsewhere)")))
}
