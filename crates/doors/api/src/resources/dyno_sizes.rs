//! `/dyno-sizes`.

use access::action::{Browse, ViewApp};
use axum::Json;
use axum::extract::Path;
use vocabulary::DynoSize;

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::resources::catalogue;

/// `GET /dyno-sizes`
pub(crate) async fn list(_caller: Permitted<Browse>) -> Json<Vec<schema::DynoSize>> {
    Json(DynoSize::ALL.into_iter().map(shape).collect())
}

/// `GET /apps/{app}/available-dyno-sizes`
pub(crate) async fn of_app(_own: Permitted<ViewApp>) -> Json<Vec<schema::DynoSize>> {
    Json(DynoSize::ALL.into_iter().map(shape).collect())
}

/// `GET /dyno-sizes/{size}`, by id or name.
pub(crate) async fn info(_caller: Permitted<Browse>, Path(identity): Path<String>) -> Result<Json<schema::DynoSize>> {
    let found = DynoSize::ALL
        .into_iter()
        .find(|size| size.name().eq_ignore_ascii_case(&identity) || catalogue::is(&identity, "dyno-size", size.name()));
    found.map(|size| Json(shape(size))).ok_or_else(|| Error::not_found("dyno size"))
}

fn shape(size: DynoSize) -> schema::DynoSize {
    let tier = size.name().split('-').next().unwrap_or_default();
    schema::DynoSize {
        id: catalogue::id("dyno-size", size.name()),
        name: size.name(),
        architecture: "amd64",
        can_autoscale: false,
        compute: size.cpu_weight(),
        cost: None,
        dedicated: size.is_dedicated(),
        generation: catalogue::generation(),
        infrastructure_tier: "production",
        memory: gigabytes(size.memory_mib()),
        precise_dyno_units: f64::from(size.cpu_weight()),
        private_space_only: false,
        product_dyno_tier: tier.to_lowercase(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred thousand MiB at most")]
fn gigabytes(mib: u64) -> f64 {
    mib as f64 / 1024.0
}
