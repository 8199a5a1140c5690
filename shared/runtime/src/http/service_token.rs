//! Internal routes answer only peers that hold the service token.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::problem::HttpError;
use crate::config::Secret;

/// Lets only requests with `Authorization: Bearer <token>` through to the routes that `router`
/// has so far; others get 401. The comparison takes the same time wherever the texts differ.
pub fn require_service_token<S>(router: Router<S>, token: Secret) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router.route_layer(from_fn_with_state(token, check))
}

async fn check(State(token): State<Secret>, request: Request, next: Next) -> Response {
    if presented(request.headers()).is_some_and(|text| same(text, token.expose())) {
        return next.run(request).await;
    }
    let detail = "this route is for Steelyard's own services";
    HttpError::new(StatusCode::UNAUTHORIZED, "service_token_required", detail).into_response()
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get(header::AUTHORIZATION)?
        .as_bytes()
        .strip_prefix(b"Bearer ")
}

fn same(presented: &[u8], expected: &str) -> bool {
    presented.ct_eq(expected.as_bytes()).into()
}
