//! For operators: queues, dead letters, maintenance, audit.
//!
//! The gateway looks into dead-letter queues and sends what is redriven, since nobody else may send orders. What has to
//! be remembered (the audit, the maintenance state) and what has to be tried (the dry run) is the orders service's.
//!
//! **Invariant:** nothing is redriven that was not written down first. Without Postgres there is no redrive.

mod audit;
mod dry_run;
mod edit;
mod letters;
mod lines;
mod maintenance;
mod pace;
mod queues;
mod redrive;
mod select;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use steelyard_domain::scope::Scope::Ops;
use steelyard_runtime::http::with_deadline;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::allowed;
pub(crate) use lines::{Lines, dead_letters_of};
pub(crate) use pace::Pace;

/// Longest answer: as long as letters are held.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// An edited message of 1 MiB.
const EDIT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The routes, each with who may call it.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let edits = OpenApiRouter::default()
        .routes(allowed(app, &[Ops], routes!(edit::redrive_one)))
        .routes(allowed(app, &[Ops], routes!(dry_run::dry_run)))
        .layer(DefaultBodyLimit::max(EDIT_BYTES_MAX));
    OpenApiRouter::default()
        .routes(allowed(app, &[Ops], routes!(queues::queues)))
        .routes(allowed(app, &[Ops], routes!(letters::list)))
        .routes(allowed(app, &[Ops], routes!(letters::show)))
        .routes(allowed(app, &[Ops], routes!(redrive::redrive)))
        .routes(allowed(app, &[Ops], routes!(maintenance::show)))
        .routes(allowed(app, &[Ops], routes!(maintenance::set)))
        .routes(allowed(app, &[Ops], routes!(audit::list)))
        .merge(edits)
}

/// The deadline of every route of this module.
pub(crate) fn deadline(router: Router<Arc<App>>) -> Router<Arc<App>> {
    with_deadline(router, ANSWER_MAX)
}
