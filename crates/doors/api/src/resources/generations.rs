//! `/generations`: one, that of dynos from slugs.

use access::action::{Browse, ViewTeam};
use axum::Json;
use axum::extract::Path;
use schema::Generation;

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::resources::catalogue::{self, SINCE};

/// `GET /generations`
pub(crate) async fn list(_caller: Permitted<Browse>) -> Json<[Generation; 1]> {
    Json([generation()])
}

/// `GET /generations/{generation}`, by id or name.
pub(crate) async fn info(_caller: Permitted<Browse>, Path(identity): Path<String>) -> Result<Json<Generation>> {
    let same = catalogue::is(&identity, "generation", catalogue::GENERATION);
    if same { Ok(Json(generation())) } else { Err(Error::not_found("generation")) }
}

/// `GET /teams/{team}/available-generations`
pub(crate) async fn of_team(_own: Permitted<ViewTeam>) -> Json<[Generation; 1]> {
    Json([generation()])
}

fn generation() -> Generation {
    Generation {
        id: catalogue::generation().id,
        name: catalogue::GENERATION,
        unsupported_features: [],
        expanded_supported_features: [],
        created_at: SINCE.into(),
        updated_at: SINCE.into(),
    }
}
