//! The API's description: OpenAPI 3.1 at `/openapi.json`, readable at `/docs` without a network.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use steelyard_domain::api::Problem;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_swagger_ui::{Config, SwaggerUi, Url};

use crate::auth::SCHEME;

const DESCRIPTION: &str = "\
Orders are taken by the queue, so they are accepted even while everything behind this gateway is \
down, and settled one at a time per customer.

Conventions: `snake_case`; times in RFC 3339, UTC; money as strings beside an ISO 4217 currency; \
unknown fields are refused; lists are `{\"data\": […], \"next_cursor\": …}`. Every error is an RFC \
9457 problem document whose `errors` name each place by a JSON pointer. `x-request-id` and \
`traceparent` are honoured and returned. Bodies have at most 256 KiB.

Commands need an `Idempotency-Key`: the same key is the same command for ever. Repeat a request \
until it is answered; 503 and 429 say when by `Retry-After`.

The scopes named with a route are alternatives: a token needs one of them.";

/// The document without its routes; those bring themselves in.
#[derive(OpenApi)]
#[openapi(
    tags(
        (name = "orders", description = "Place, follow and change orders"),
        (name = "products", description = "What is for sale"),
        (name = "reports", description = "Figures of sales"),
        (name = "documents", description = "Invoices, credit notes, delivery notes"),
        (name = "ops", description = "Queues, dead letters, maintenance"),
    ),
    components(schemas(Problem)),
)]
struct Document;

/// The document to which the routes are added.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.title = "Steelyard".to_owned();
    document.info.description = Some(DESCRIPTION.to_owned());
    document.info.version = "1".to_owned();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "RS256, ES256 or EdDSA; `sub` is the customer or client, `scope` what it may do",
        ))
        .build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    }
    document
}

/// `/openapi.json` and `/docs`.
///
/// # Errors
/// When the document cannot be written as JSON.
pub(crate) fn routes<S>(document: &utoipa::openapi::OpenApi) -> serde_json::Result<Router<S>>
where
    S: Clone + Send + Sync + 'static,
{
    let json = Bytes::from(serde_json::to_vec_pretty(document)?);
    let show = get(async || ([(header::CONTENT_TYPE, "application/json")], json));
    // Not the UI's own route for the document: that one would write it out again at every call.
    let config = Config::new([Url::from("/openapi.json")])
        .use_base_layout()
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .validator_url("none");
    let ui: Router<S> = SwaggerUi::new("/docs").config(config).into();
    Ok(Router::new().route("/openapi.json", show).merge(ui))
}
