//! The HTTP face: which request is for whom, and how answers and errors are written.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::json;
use uuid::Uuid;

use crate::{
    api::{self, Call},
    engine::Engine,
    error::Error,
};

const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "AmazonSQS.";
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// What every connection needs.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) account_id: String,
    /// For clients that name no host.
    pub(crate) own_url: String,
    pub(crate) request_bytes_max: usize,
}

pub(crate) async fn handle(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/health") => health(&service),
        // SDKs post to "/", some to the queue's own path.
        (&Method::POST, _) => match answer(&service, request).await {
            Ok(body) => with_body(StatusCode::OK, body),
            Err(error) => error_response(&error),
        },
        _ => error_response(&Error::unknown_operation(request.uri().path())),
    };
    Ok(response)
}

async fn answer(service: &Service, request: Request<Incoming>) -> Result<Vec<u8>, Error> {
    let (head, body) = request.into_parts();
    let Some(target) = head
        .headers
        .get(TARGET)
        .and_then(|value| value.to_str().ok())
    else {
        return Err(Error::unknown_operation(
            "without X-Amz-Target (localsqs speaks the AWS JSON protocol only)",
        ));
    };
    let operation = target
        .strip_prefix(TARGET_PREFIX)
        .ok_or_else(|| Error::unknown_operation(target))?;
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let base_url = host.map_or_else(|| service.own_url.clone(), |host| format!("http://{host}"));
    let limit = service.request_bytes_max;
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Error::too_large(limit)
        } else {
            Error::unreadable(error)
        }
    })?;
    let body = body.to_bytes();
    let call = Call {
        engine: &service.engine,
        account_id: &service.account_id,
        base_url: &base_url,
        body: &body,
    };
    api::answer(operation, &call).await
}

/// Healthy means: changes can be taken.
fn health(service: &Service) -> Response<Full<Bytes>> {
    match service.engine.core.writable() {
        Ok(()) => with_body(StatusCode::OK, br#"{"status":"ok"}"#.to_vec()),
        Err(error) => {
            let body = json!({ "status": "unavailable", "reason": error.message() });
            with_body(
                StatusCode::SERVICE_UNAVAILABLE,
                body.to_string().into_bytes(),
            )
        }
    }
}

fn error_response(error: &Error) -> Response<Full<Bytes>> {
    let body = json!({ "__type": error.shape(), "message": error.message() });
    let mut response = with_body(error.status(), body.to_string().into_bytes());
    let fault = if error.sender_fault() {
        "Sender"
    } else {
        "Receiver"
    };
    // The code is made of static ASCII words: it always is a header value.
    if let Ok(value) = HeaderValue::from_str(&format!("{};{fault}", error.code())) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn with_body(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(id) = HeaderValue::from_str(
        Uuid::new_v4()
            .as_hyphenated()
            .encode_lower(&mut Uuid::encode_buffer()),
    ) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
