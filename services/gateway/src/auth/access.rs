//! Who may call what. A route gets into the router by [`allowed`] or [`public`] only, and both
//! write into the OpenAPI document what they enforce: the two cannot drift apart.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use steelyard_domain::scope::Scope;
use steelyard_runtime::http::HttpError;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::verify::{AuthError, Caller};
use crate::app::App;

/// The name of the security scheme in the OpenAPI document.
pub(crate) const SCHEME: &str = "bearer";

/// Routes that a token with any of `scopes` may call. The handler learns who it is by
/// [`CallerOf`].
pub(crate) fn allowed(
    app: &Arc<App>,
    scopes: &'static [Scope],
    mut routes: UtoipaMethodRouter<Arc<App>>,
) -> UtoipaMethodRouter<Arc<App>> {
    let words = scopes.iter().map(|scope| scope.as_str());
    let security: Vec<_> = words
        .map(|word| SecurityRequirement::new(SCHEME, [word]))
        .collect();
    for operation in operations(&mut routes) {
        operation.security = Some(security.clone());
        refused(operation, "401", "No token, or none that is believed");
        refused(operation, "403", "The token does not allow this");
        refused(operation, "429", "Too many requests; see `Retry-After`");
        refused(operation, "default", "Any other error");
    }
    routes.layer(from_fn_with_state((Arc::clone(app), scopes), admit))
}

/// Routes that anyone may call.
pub(crate) fn public(mut routes: UtoipaMethodRouter<Arc<App>>) -> UtoipaMethodRouter<Arc<App>> {
    for operation in operations(&mut routes) {
        operation.security = Some(Vec::new());
        refused(operation, "default", "Any error");
    }
    routes
}

fn operations(routes: &mut UtoipaMethodRouter<Arc<App>>) -> impl Iterator<Item = &mut Operation> {
    routes.1.paths.values_mut().flat_map(|item: &mut PathItem| {
        [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
    })
}

fn refused(operation: &mut Operation, status: &str, description: &str) {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build();
    let responses = &mut operation.responses.responses;
    responses
        .entry(status.to_owned())
        .or_insert(RefOr::T(response));
}

async fn admit(
    State((app, scopes)): State<(Arc<App>, &'static [Scope])>,
    mut request: Request,
    next: Next,
) -> Response {
    match authorize(&app, scopes, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    }
}

fn authorize(
    app: &App,
    scopes: &'static [Scope],
    headers: &HeaderMap,
) -> Result<Arc<Caller>, HttpError> {
    let caller = bearer(headers)
        .and_then(|token| app.auth.verify(token))
        .map_err(unauthorized)?;
    if !caller.scopes.has_any(scopes) {
        let words: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
        let detail = format!("the token needs one of these scopes: {}", words.join(", "));
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\"",
            words.join(" ")
        );
        let refused = HttpError::new(StatusCode::FORBIDDEN, "insufficient_scope", detail);
        return Err(challenged(refused, &challenge));
    }
    if let Some(limiter) = &app.limiter {
        limiter.admit(&caller.subject)?;
    }
    Ok(caller)
}

fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or(AuthError::Missing)?;
    let value = value.to_str().map_err(|_| AuthError::Missing)?;
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Missing);
    }
    Ok(token.trim())
}

fn unauthorized(error: AuthError) -> HttpError {
    let detail = error.to_string();
    match error {
        AuthError::NoKeys => HttpError::unavailable("keys_unavailable", detail, 5),
        AuthError::Missing => {
            let refused = HttpError::new(StatusCode::UNAUTHORIZED, "token_missing", detail);
            challenged(refused, "Bearer")
        }
        AuthError::Invalid(_) => {
            let refused = HttpError::new(StatusCode::UNAUTHORIZED, "token_invalid", detail);
            challenged(refused, "Bearer error=\"invalid_token\"")
        }
    }
}

/// RFC 6750 §3 asks for the challenge.
fn challenged(refused: HttpError, challenge: &str) -> HttpError {
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => refused.header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => refused,
    }
}

/// The caller that [`allowed`] let in.
pub(crate) struct CallerOf(pub(crate) Arc<Caller>);

impl<S: Sync> FromRequestParts<S> for CallerOf {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HttpError> {
        // Absent only if a route that needs a caller was made public: a fault of ours.
        parts
            .extensions
            .get()
            .cloned()
            .map(Self)
            .ok_or_else(HttpError::internal)
    }
}
