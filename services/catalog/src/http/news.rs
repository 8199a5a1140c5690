//! Telling gateways which of their copies are old.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use sqlx::PgPool;
use steelyard_domain::id::Sku;
use steelyard_domain::internal::paths;
use steelyard_status::ProductNews;

use crate::products;

/// How long it is looked for the product that shows a variant: while the database is away, no call is held up for more.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// What the middleware needs.
#[derive(Clone)]
struct Teller {
    news: ProductNews,
    /// Where it looks which product a variant is shown with.
    reads: PgPool,
}

/// Every call of these routes that may have changed products is told once it is answered, whatever
/// the answer: a call that was refused half-way may have changed some. With a variant the product is told that it was
/// shown with before, and the one that it is shown with now.
pub(super) fn told<S>(routes: Router<S>, news: Option<ProductNews>, reads: PgPool) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    match news {
        Some(news) => routes.route_layer(from_fn_with_state(Teller { news, reads }, tell)),
        None => routes,
    }
}

async fn tell(
    State(Teller { news, reads }): State<Teller>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.extensions().get::<MatchedPath>();
    let of_products = |path: &MatchedPath| {
        let shown = [paths::PRODUCTS, paths::CATEGORIES];
        shown.iter().any(|shown| path.as_str().starts_with(shown))
    };
    if is_read || !path.is_some_and(of_products) {
        return next.run(request).await;
    }
    let sku = params.ok().and_then(|params| {
        let mut params = params.iter();
        params.find_map(|(name, text)| (name == "sku").then(|| text.to_owned()))
    });
    match sku.map(Sku::try_from) {
        Some(Ok(sku)) => {
            let before = shown_with(&reads, &sku).await;
            let response = next.run(request).await;
            let Some(before) = before else {
                // It is not known which other shows it.
                news.tell_all();
                return response;
            };
            match shown_with(&reads, &sku).await {
                Some(now) => {
                    let all = [Some(sku), before, now];
                    all.into_iter().flatten().for_each(|sku| news.tell(sku));
                }
                None => news.tell_all(),
            }
            response
        }
        // No product has such a name.
        Some(Err(_)) => next.run(request).await,
        None => {
            let response = next.run(request).await;
            news.tell_all();
            response
        }
    }
}

/// The product that this one is shown with as a variant, if there is one; `None` when it cannot be told.
async fn shown_with(reads: &PgPool, sku: &Sku) -> Option<Option<Sku>> {
    let looked = tokio::time::timeout(LOOK_MAX, products::variant_of(reads, sku));
    looked.await.ok()?.ok()
}
