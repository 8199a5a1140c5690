//! `GET /v1/ops/queues`.

use std::sync::Arc;

use axum::extract::State;
use futures_util::future::try_join_all;
use serde::Serialize;
use steelyard_domain::api::Problem;
use steelyard_domain::ops::{Maintenance, Processing, WorkerReport, paths};
use steelyard_queue::Depths;
use steelyard_runtime::http::{HttpError, Json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::lines::{Gauge, Line, Name, queue_away, total};
use crate::app::App;

/// The queues and who works on them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queues {
    /// Each queue, and its dead letters.
    queues: Vec<QueueView>,
    /// The order workers, by their own word.
    workers: Vec<WorkerReport>,
    /// `all` of them are listed; only `one` could be asked, since Postgres is away; or `none`: this is
    /// what was known before.
    workers_known: &'static str,
    /// The maintenance state; null when it is not known.
    maintenance: Option<Maintenance>,
    /// What answers that say "not yet" tell callers to wait, in seconds.
    retry_after_s: u32,
}

/// One queue. A figure that nobody knows is null.
#[derive(Debug, Serialize, ToSchema)]
struct QueueView {
    /// Its name.
    name: String,
    /// Whose.
    line: Name,
    /// Whether it holds dead letters.
    dead_letters: bool,
    /// Messages in it, in flight or not; SQS says approximately.
    depth: u64,
    /// Of these, received and not yet settled.
    in_flight: u64,
    /// How long ago the oldest message was sent, or parked, in seconds.
    oldest_age_s: Option<u64>,
    /// Who says so. SQS itself does not tell. `empty`: there is none. `workers`: the oldest that they handled just now, or
    /// could not settle. `last_look`: the oldest dead letter when somebody last looked, so at least that. `unknown`.
    oldest_source: &'static str,
    /// Messages that came in per minute.
    arrival_per_min: Option<u64>,
    /// Messages that workers settled per minute.
    drain_per_min: Option<u64>,
    /// Messages by which it grew per minute, since it was looked at before.
    growth_per_min: Option<i64>,
    /// When it will be empty, if all goes on like this; null when it will not, or when that is not known.
    seconds_to_empty: Option<u64>,
}

/// Show the queues and the workers
#[utoipa::path(
    get,
    path = "/v1/ops/queues",
    operation_id = "list_queues",
    tag = "ops",
    responses(
        (status = 200, description = "The queues and the workers", body = Queues),
        (status = 503, description = "A queue cannot be asked", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn queues(State(app): State<Arc<App>>) -> Result<Json<Queues>, HttpError> {
    let gauges: Vec<&Gauge> = app
        .lines
        .iter()
        .flat_map(|line| [&line.queue, &line.dead])
        .collect();
    let depths = try_join_all(gauges.iter().map(|gauge| gauge.depths()));
    let asked = app.orders.get::<Processing>(paths::PROCESSING);
    let (depths, asked) = tokio::join!(depths, asked);
    let depths = depths.map_err(|error| queue_away(&error))?;
    let (processing, workers_known) = match asked {
        Ok(processing) => {
            app.pace.saw_processing(&processing);
            let known = if processing.all_workers { "all" } else { "one" };
            (processing, known)
        }
        Err(error) => {
            tracing::debug!(%error, "how workers are is not known at the moment");
            (app.pace.processing(), "none")
        }
    };
    let workers: &[WorkerReport] = match workers_known {
        // What was known before says nothing of now.
        "none" => &[],
        _ => &processing.workers,
    };
    let pairs = depths.chunks_exact(2);
    let views = app
        .lines
        .iter()
        .zip(pairs)
        .flat_map(|(line, pair)| [living(line, pair[0], workers), dead(line, pair[1])]);
    Ok(Json(Queues {
        queues: views.collect(),
        retry_after_s: app.pace.retry_after_s(),
        workers_known,
        maintenance: processing.maintenance,
        workers: processing.workers,
    }))
}

fn living(line: &Line, depths: Depths, workers: &[WorkerReport]) -> QueueView {
    let depth = total(depths);
    // Only the order workers say what they do; who works on the other queues does not.
    let workers = if line.name == Name::Orders {
        workers
    } else {
        &[]
    };
    let drain = (!workers.is_empty()).then(|| {
        workers
            .iter()
            .map(|worker| worker.settled_per_min)
            .sum::<u64>()
    });
    let growth = line.queue.growth_per_min();
    let arrival = drain
        .zip(growth)
        .map(|(drain, growth)| drain.saturating_add_signed(growth));
    let oldest = workers
        .iter()
        .filter_map(|worker| worker.oldest_age_s)
        .max();
    let (oldest_age_s, oldest_source) = match (depth, oldest) {
        (0, _) => (None, "empty"),
        (_, Some(age)) => (Some(age), "workers"),
        (_, None) => (None, "unknown"),
    };
    QueueView {
        name: line.queue.name().to_owned(),
        line: line.name,
        dead_letters: false,
        depth,
        in_flight: depths.in_flight,
        oldest_age_s,
        oldest_source,
        arrival_per_min: arrival,
        drain_per_min: drain,
        growth_per_min: growth,
        seconds_to_empty: seconds_to_empty(depth, growth),
    }
}

fn dead(line: &Line, depths: Depths) -> QueueView {
    let depth = total(depths);
    let oldest = line.seen().and_then(|seen| seen.oldest);
    let (oldest_age_s, oldest_source) = match (depth, oldest) {
        (0, _) => (None, "empty"),
        (_, Some(oldest)) => {
            let age = (OffsetDateTime::now_utc() - oldest).whole_seconds();
            (u64::try_from(age).ok(), "last_look")
        }
        (_, None) => (None, "unknown"),
    };
    QueueView {
        name: line.dead.name().to_owned(),
        line: line.name,
        dead_letters: true,
        depth,
        in_flight: depths.in_flight,
        oldest_age_s,
        oldest_source,
        arrival_per_min: None,
        drain_per_min: None,
        growth_per_min: line.dead.growth_per_min(),
        seconds_to_empty: (depth == 0).then_some(0),
    }
}

fn seconds_to_empty(depth: u64, growth_per_min: Option<i64>) -> Option<u64> {
    if depth == 0 {
        return Some(0);
    }
    let growth = growth_per_min?;
    (growth < 0).then(|| depth.saturating_mul(60).div_ceil(growth.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::seconds_to_empty;

    #[test]
    fn a_queue_that_does_not_shrink_has_no_end_in_sight() {
        for (depth, growth, seconds) in [
            (0, None, Some(0)),
            (10, None, None),
            (10, Some(0), None),
            (10, Some(5), None),
            (100, Some(-60), Some(100)),
            (1, Some(-7), Some(9)),
        ] {
            assert_eq!(
                seconds_to_empty(depth, growth),
                seconds,
                "{depth} {growth:?}"
            );
        }
    }
}
