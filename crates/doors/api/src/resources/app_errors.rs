//! Errors of an app over time, of the host `api.metrics.herokai.com`: what `heroku apps:errors` asks for.

use std::collections::BTreeMap;

use access::action::ViewLogs;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use logs::Culprit;
use serde::{Deserialize, Serialize};
use vocabulary::{AppId, Timestamp};

use crate::http::error::{Error, Result};
use crate::http::permitted::Permitted;
use crate::http::state::{Shared, State as ApiState};

/// The most steps in an answer.
const STEPS: i64 = 10_000;
const SECOND: i64 = 1_000_000;

/// The query: two moments (RFC 3339) and a step such as `1h`, `10m`, `30s`.
#[derive(Debug, Deserialize)]
pub(crate) struct Window {
    start_time: Timestamp,
    end_time: Timestamp,
    step: String,
}

/// How often each error was seen in each step.
#[derive(Debug, Serialize)]
pub(crate) struct Errors {
    start_time: String,
    end_time: String,
    step: String,
    data: BTreeMap<String, Vec<u64>>,
}

type Asked = std::result::Result<Query<Window>, QueryRejection>;

/// `GET /apps/{app}/router-metrics/errors`
pub(crate) async fn of_router(
    own: Permitted<ViewLogs>,
    State(state): State<Shared>,
    window: Asked,
) -> Result<Json<Errors>> {
    answer(&state, own.app.id, &Culprit::Router, window)
}

/// `GET /apps/{app}/formation/{type}/metrics/errors`
pub(crate) async fn of_type(
    own: Permitted<ViewLogs>,
    State(state): State<Shared>,
    Path((_, process_type)): Path<(String, String)>,
    window: Asked,
) -> Result<Json<Errors>> {
    let process_type = process_type.parse().map_err(|_| Error::invalid("invalid process_type provided"))?;
    answer(&state, own.app.id, &Culprit::Dynos(process_type), window)
}

fn answer(state: &ApiState, app: AppId, culprit: &Culprit, window: Asked) -> Result<Json<Errors>> {
    let Query(window) = window.map_err(|error| Error::invalid(error.body_text()))?;
    let step = step(&window.step).ok_or_else(|| Error::invalid("step is a number with s, m or h, such as 1h"))?;
    let (start, end) = (window.start_time.micros(), window.end_time.micros());
    let steps = end.saturating_sub(start).saturating_add(step - 1) / step;
    if !(1..=STEPS).contains(&steps) {
        return Err(Error::invalid(format!("from start_time to end_time are 1 to {STEPS} steps")));
    }
    let mut data: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (at, code, count) in state.logs.errors(app, culprit, window.start_time) {
        // Counted by pieces, of which the first may have begun before the window.
        let index = usize::try_from((at.micros() - start).max(0) / step).unwrap_or(usize::MAX);
        let counts = data.entry(code).or_insert_with(|| vec![0; usize::try_from(steps).unwrap_or_default()]);
        if let Some(sum) = counts.get_mut(index) {
            *sum += count;
        }
    }
    let (start_time, end_time) = (window.start_time.api(), window.end_time.api());
    Ok(Json(Errors { start_time, end_time, step: window.step, data }))
}

/// A step in microseconds; at most a day.
fn step(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: i64 = text.get(..text.len() - 1)?.parse().ok()?;
    let seconds = number.checked_mul(unit)?;
    (1..=86_400).contains(&seconds).then_some(seconds * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_a_unit_and_a_bound() {
        assert_eq!(step("1h"), Some(3600 * SECOND));
        assert_eq!((step("10m"), step("30s")), (Some(600 * SECOND), Some(30 * SECOND)));
        for bad in ["", "h", "1", "-1h", "0s", "25h", "1d", "9999999999999999999h", "1ü"] {
            assert_eq!(step(bad), None, "{bad}");
        }
    }
}
