//! `/regions`: one, under the name clients ask for when they ask for none.

use access::action::Browse;
use axum::Json;
use axum::extract::Path;
use schema::{Named, Provider, Region};

use crate::http::error::{Error, Result};
use crate::http::list;
use crate::http::permitted::Permitted;
use crate::resources::catalogue::{self, SINCE};

const NAME: &str = "us";

/// `GET /regions`
pub(crate) async fn list(_caller: Permitted<Browse>) -> Json<[Region; 1]> {
    Json([region()])
}

/// `GET /regions/{region}`
pub(crate) async fn info(_caller: Permitted<Browse>, Path(identity): Path<String>) -> Result<Json<Region>> {
    if catalogue::is(&identity, "region", NAME) { Ok(Json(region())) } else { Err(Error::not_found("region")) }
}

/// `GET /regions/{region}/addon-region-capabilities`: there are no add-on services.
pub(crate) async fn capabilities(_caller: Permitted<Browse>, Path(identity): Path<String>) -> Result {
    if catalogue::is(&identity, "region", NAME) { Ok(list::nothing()) } else { Err(Error::not_found("region")) }
}

/// How others show the region.
pub(crate) fn reference() -> Named {
    catalogue::named("region", NAME)
}

/// Refuses a region there is not.
pub(crate) fn known(identity: &str) -> Result<()> {
    if catalogue::is(identity, "region", NAME) {
        return Ok(());
    }
    Err(Error::invalid(format!("Region {identity} is not available: this platform has one region, {NAME}.")))
}

fn region() -> Region {
    Region {
        id: catalogue::id("region", NAME),
        name: NAME,
        country: "This platform",
        locale: "Self-hosted",
        description: "This platform",
        private_capable: false,
        // The schema allows only names of one cloud's regions; this is the one Heroku's own `us` has.
        provider: Provider { name: "slipway", region: "us-east-1" },
        created_at: SINCE.into(),
        updated_at: SINCE.into(),
    }
}
