//! Telling gateways which of their copies are old.

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use steelyard_domain::id::Sku;
use steelyard_domain::internal::paths;
use steelyard_status::ProductNews;

/// Every call of these routes that may have changed products is told once it is answered, whatever
/// the answer: a call that was refused half-way may have changed some.
pub(super) fn told<S>(routes: Router<S>, news: Option<ProductNews>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    match news {
        Some(news) => routes.route_layer(from_fn_with_state(news, tell)),
        None => routes,
    }
}

async fn tell(
    State(news): State<ProductNews>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.extensions().get::<MatchedPath>();
    let of_products = |path: &MatchedPath| {
        let shown = [paths::PRODUCTS, paths::CATEGORIES];
        shown.iter().any(|shown| path.as_str().starts_with(shown))
    };
    let changes = !reads && path.is_some_and(of_products);
    let sku = params.ok().and_then(|params| {
        let mut params = params.iter();
        params.find_map(|(name, text)| (name == "sku").then(|| text.to_owned()))
    });
    let response = next.run(request).await;
    if changes {
        match sku.map(Sku::try_from) {
            Some(Ok(sku)) => news.tell(sku),
            // No product has such a name.
            Some(Err(_)) => {}
            None => news.tell_all(),
        }
    }
    response
}
