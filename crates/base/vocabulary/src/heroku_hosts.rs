//! The hosts of Heroku's that a platform stands in for.

/// Those that the official command calls by fixed names, whatever its settings say, and that we serve; without port. The
/// API's own hosts are not among them: settings redirect those, and with the name `api.heroku.com` the command would send
/// its user's key for Heroku.
pub const HEROKU_HOSTS: [&str; 3] = [
    "particleboard.heroku.com", // favorites
    "telex.heroku.com",         // notifications
    "api.metrics.herokai.com",  // errors of apps
];
