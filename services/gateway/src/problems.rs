//! `/problems/{code}`: what the `type` of a problem document points to.

use axum::Router;
use axum::routing::get;
use steelyard_runtime::http::{HttpError, Path};

/// A code, its usual status, what it means, and what to do.
type Entry = (&'static str, u16, &'static str, &'static str);

/// Every code that a caller of the gateway may see.
const ENTRIES: &[Entry] = &[
    (
        "audit_unavailable",
        503,
        "What was asked for could not be written into the audit, so it was not done.",
        "Try again after Retry-After, once Postgres and the orders service are there.",
    ),
    (
        "body_incomplete",
        400,
        "The body broke off before its end.",
        "Send it again.",
    ),
    (
        "body_too_large",
        413,
        "The body is larger than the route takes: 256 KiB, imports aside.",
        "Split it, or shorten it.",
    ),
    (
        "bundle_gone",
        410,
        "The bundle could not be made, or the day for which it is kept is over.",
        "Ask for it again by POST /v1/documents/bundles.",
    ),
    (
        "bundle_pending",
        409,
        "The bundle is being made.",
        "Ask for its state at /v1/documents/bundles/{id} until it is ready.",
    ),
    (
        "catalog_unavailable",
        503,
        "The catalog cannot be asked and there is no copy of its answer.",
        "Try again after Retry-After. Orders are taken all the same.",
    ),
    (
        "document_archived",
        409,
        "The document's file is in cold storage.",
        "Ask for it by POST /v1/documents/{id}/restore, which says when it can be fetched.",
    ),
    (
        "document_pending",
        409,
        "The document has its number, and its file is being made.",
        "Try again in some seconds.",
    ),
    (
        "document_removed",
        410,
        "The document's file was removed when its retention time was over.",
        "Nothing: what is known of it is still listed.",
    ),
    (
        "document_without_ubl",
        409,
        "The document cannot be written as UBL: it was imported, is a delivery note, or its currency is finer than EN 16931.",
        "Fetch its file at /v1/documents/{id}/content.",
    ),
    (
        "documents_unavailable",
        503,
        "The documents service cannot be asked, or its database or store is away.",
        "Try again after Retry-After. Orders are taken all the same.",
    ),
    (
        "idempotency_key_invalid",
        400,
        "The Idempotency-Key header is missing, given twice, or not 1–255 printable ASCII characters.",
        "Give every command a key of its own and keep it for retries.",
    ),
    (
        "image_not_uploaded",
        409,
        "The image was announced, and its file is not there yet.",
        "Make the upload request that the announcement gave, then complete it.",
    ),
    (
        "import_differs",
        409,
        "Under this import's name another body was sent before, and is saved in part.",
        "Send that body again, or take another name.",
    ),
    (
        "import_under_way",
        409,
        "The same import is being sent by somebody else.",
        "Wait for it; its progress is at /v1/products/imports/{name}.",
    ),
    (
        "insufficient_scope",
        403,
        "The token is good but has none of the scopes that the route asks for.",
        "Ask the identity provider for a scope that WWW-Authenticate names.",
    ),
    (
        "internal",
        500,
        "Something failed that should not have.",
        "Try again; if it stays, report the request_id.",
    ),
    (
        "invalid_condition",
        400,
        "If-Match or If-None-Match holds something that a change cannot depend on.",
        "Give If-Match a tag of what is changed, or If-None-Match: * to create it.",
    ),
    (
        "invalid_cursor",
        400,
        "The cursor is not one that this list gave, or belongs to other filters.",
        "Begin with the first page.",
    ),
    (
        "invalid_query",
        400,
        "A query parameter is unknown or cannot be used.",
        "See errors.",
    ),
    (
        "keys_unavailable",
        503,
        "The issuer's keys have not been read yet, so no token can be checked.",
        "Try again after Retry-After.",
    ),
    (
        "malformed_json",
        400,
        "The body is not JSON.",
        "See errors for the place where reading stopped.",
    ),
    (
        "media_unavailable",
        503,
        "This shop keeps no images, or their store is away.",
        "Try again after Retry-After; products are shown all the same.",
    ),
    (
        "method_not_allowed",
        405,
        "The path is there, but not with this method.",
        "See the Allow header.",
    ),
    (
        "no_such_route",
        404,
        "No route has this path.",
        "See /docs.",
    ),
    (
        "not_a_customer",
        403,
        "The token acts for its own subject, and that cannot be a customer's id.",
        "A customer's id has 1–128 characters and no white space around.",
    ),
    (
        "not_acceptable",
        406,
        "The answer does not come in a form that Accept names.",
        "See the route's description for its forms.",
    ),
    (
        "not_found",
        404,
        "There is no such thing, or it is another customer's.",
        "Check the id and the token.",
    ),
    (
        "orders_unavailable",
        503,
        "The orders service cannot be asked, and without it the answer is not known.",
        "Try again after Retry-After. Orders are taken all the same.",
    ),
    (
        "other_customer",
        403,
        "The request names another customer than the token's.",
        "Leave customer_id out, or use a storefront's token.",
    ),
    (
        "overloaded",
        503,
        "More is in hand than this instance may hold. The command was not taken.",
        "Send it again with the same Idempotency-Key after Retry-After.",
    ),
    (
        "precondition_failed",
        412,
        "It is not as If-Match or If-None-Match asks: somebody else changed it, or made it.",
        "Read it again, and decide anew.",
    ),
    (
        "queue_unavailable",
        503,
        "The queue did not acknowledge the command in time. It may or may not have arrived.",
        "Send it again with the same Idempotency-Key after Retry-After: that is safe in both cases.",
    ),
    (
        "stock_elsewhere",
        409,
        "There are not so many at this place; they may lie at another.",
        "Name the place in location; see /v1/products/{sku}/stock.",
    ),
    (
        "stock_reserved",
        409,
        "The stock cannot be lowered below what is reserved for confirmed orders.",
        "Book less, or release orders first.",
    ),
    (
        "stopping",
        503,
        "This instance is stopping.",
        "Send it again with the same Idempotency-Key.",
    ),
    (
        "timeout",
        503,
        "The answer took too long. A command may or may not have been taken.",
        "Send it again with the same Idempotency-Key.",
    ),
    (
        "token_invalid",
        401,
        "The token is not one that is believed: forged, expired, or for somebody else.",
        "Get a new one from the identity provider.",
    ),
    (
        "token_missing",
        401,
        "There is no bearer token in the Authorization header.",
        "Send one.",
    ),
    (
        "too_many_bundles",
        409,
        "As many bundles of the caller are being made as may be at once.",
        "Wait for one of them.",
    ),
    (
        "too_many_images",
        409,
        "The product has as many images as it may, those included that are not shown.",
        "Remove one first.",
    ),
    (
        "too_many_requests",
        429,
        "The client sends more requests than it may.",
        "Wait for Retry-After.",
    ),
    (
        "too_many_streams",
        503,
        "This instance serves as many event streams as it may.",
        "Try again after Retry-After.",
    ),
    (
        "unsupported_media_type",
        415,
        "The body is of another kind than the route reads, or does not say.",
        "Set Content-Type.",
    ),
    (
        "validation_failed",
        422,
        "The body is JSON, but not what the route asks for.",
        "See errors: each names its place by a JSON pointer.",
    ),
];

/// `/problems` and `/problems/{code}`.
pub(crate) fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/problems", get(async || all())).route(
        "/problems/{code}",
        get(async |Path(code): Path<String>| one(&code)),
    )
}

fn one(code: &str) -> Result<String, HttpError> {
    let found = ENTRIES.iter().find(|(known, ..)| *known == code);
    found
        .map(text)
        .ok_or_else(|| HttpError::not_found("there is no problem of this name"))
}

fn all() -> String {
    ENTRIES.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn text((code, status, meaning, remedy): &Entry) -> String {
    format!("{code} ({status})\n\n{meaning}\n{remedy}\n")
}
