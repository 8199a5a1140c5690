//! Putting it together, serving, stopping.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use steelyard_queue::Producer;
use steelyard_runtime::client::Internal;
use steelyard_runtime::http::{Drain, Health, envelope};
use steelyard_status::{ReceiptReader, ReceiptWriter, Redis, Watch, watch_products};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::{Authenticator, KeyStore};
use crate::config::Config;
use crate::deps::Deps;
use crate::intake::RateLimiter;
use crate::ops::{self, Lines, Pace};
use crate::products::{Copies, Flights};
use crate::receipts::Receipts;
use crate::{documents, openapi, orders, problems, products, reports};

/// The largest body, imports aside.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long the orders service may take: beyond that the receipt answers.
const ORDERS_MAX: Duration = Duration::from_secs(3);
/// How long the documents service may take.
const DOCUMENTS_MAX: Duration = Duration::from_secs(8);
/// How long messages and receipts in hand may take to leave after the last request.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Serves until `stop`, then lets what is in hand finish. Starts whether or not the queue, Redis
/// or the services behind are there.
///
/// # Errors
/// Keys or URLs that cannot be used, or a listener that breaks.
pub async fn run(config: Config, deps: Deps, stop: CancellationToken) -> anyhow::Result<()> {
    let Deps {
        doors,
        metrics,
        transport,
    } = deps;
    let redis = Redis::new(config.redis_url.expose())?;
    let auth = &config.auth;
    let keys = KeyStore::start(auth.jwks.clone(), auth.refresh_every, stop.clone()).await?;
    let token = &config.service_token;
    let (writer, receipts_written) = ReceiptWriter::start(redis.clone());
    let producer = Producer::start(
        Arc::clone(&transport),
        config.orders_queue.clone(),
        config.producer.clone(),
    );
    let app = Arc::new(App {
        auth: Authenticator::new(keys, auth),
        limiter: config.limits.rate.map(RateLimiter::new),
        issuer: auth.issuer.clone(),
        producer: producer.clone(),
        receipts: Receipts::new(writer, ReceiptReader::new(redis.clone())),
        watch: Watch::start(redis.clone(), stop.clone()),
        orders: Internal::new("orders", config.orders.clone(), token.clone(), ORDERS_MAX)?,
        catalog: Internal::new(
            "catalog",
            config.catalog.clone(),
            token.clone(),
            config.limits.catalog_max,
        )?,
        documents: Internal::new(
            "documents",
            config.documents.clone(),
            token.clone(),
            DOCUMENTS_MAX,
        )?,
        copies: Copies::new(
            config.limits.product_cache_bytes_max,
            config.limits.product_fresh_max,
        ),
        flights: Arc::<Flights>::default(),
        lines: Lines::new(&config, &transport, &producer),
        pace: Pace::default(),
        event_streams: Arc::new(Semaphore::new(config.limits.event_streams_max)),
        limits: config.limits.clone(),
        stop: stop.clone(),
    });
    let told = Arc::clone(&app);
    watch_products(redis, stop.clone(), move |changed| {
        told.copies.heard(&changed);
    });
    let ready = producer.clone();
    // Redis and the services behind are no reason to be taken out of the balancer: orders are
    // taken without them.
    let health = Health::new().ready("queue", move || {
        if ready.is_ready() {
            Ok(())
        } else {
            Err("the queue has not been found yet".to_owned())
        }
    });
    let paced = Arc::clone(&app);
    let health = health.whole("processing", move || paced.pace.check());
    let watching = tokio::spawn(Pace::watch(Arc::clone(&app)));
    tracing::info!(api = %doors.addrs().api, admin = %doors.addrs().admin, "serving");
    let routes = routes(app)?;
    let drain = Drain {
        notice: config.limits.stop_notice,
        finish_max: config.limits.drain_max,
    };
    doors.serve(routes, health, metrics, stop, drain).await?;

    // It ended with the stop.
    drop(watching);
    let report = producer.shutdown(Instant::now() + FLUSH_MAX).await;
    if report.unacknowledged > 0 {
        tracing::warn!(
            messages = report.unacknowledged,
            "not acknowledged at the end"
        );
    }
    if tokio::time::timeout(FLUSH_MAX, receipts_written)
        .await
        .is_err()
    {
        tracing::warn!("some receipts were not written at the end");
    }
    Ok(())
}

/// All routes and their description.
fn routes(app: Arc<App>) -> serde_json::Result<Router> {
    let (orders, orders_described) = orders::routes(&app).split_for_parts();
    let (operations, operations_described) = ops::routes(&app).split_for_parts();
    let (products, products_described) = products::routes(&app).split_for_parts();
    let (reports, reports_described) = reports::routes(&app).split_for_parts();
    let (import, import_described) = products::import_route(&app).split_for_parts();
    let (documents, documents_described) = documents::routes(&app).split_for_parts();
    let mut document = openapi::document();
    for part in [
        orders_described,
        products_described,
        import_described,
        documents_described,
        operations_described,
        reports_described,
    ] {
        document.merge(part);
    }
    let routes = orders::deadline(orders)
        .merge(products::deadline(products))
        .merge(import)
        .merge(documents::deadline(documents))
        .merge(ops::deadline(operations))
        .merge(reports::deadline(reports))
        .merge(openapi::routes(&document)?)
        .merge(problems::routes())
        .with_state(app);
    Ok(envelope(routes, BODY_BYTES_MAX))
}
