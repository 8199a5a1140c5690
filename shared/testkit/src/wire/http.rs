//! HTTP: calls to peers, and SQS's JSON protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Inner, Verdict};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// SQS calls that change nothing.
const LOOKS: [&str; 2] = ["GetQueueUrl", "GetQueueAttributes"];
/// It changes something if it brings something.
const RECEIVE: &str = "ReceiveMessage";

/// Passes requests on to one server.
#[derive(Clone)]
pub(super) struct Forward {
    server: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection breaks here")]
struct Cut;

impl Forward {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn pass(
        &self,
        request: Request<Incoming>,
        wire: &Inner,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let target = head.headers.get(&TARGET);
        let operation = target
            .and_then(|target| target.to_str().ok()?.rsplit('.').next())
            .map(str::to_owned);
        let call = match &operation {
            Some(operation) => format!("{operation} {}", queue_of(&body)),
            None => format!("{} {}", head.method, head.uri.path()),
        };
        let is_receive = operation.as_deref() == Some(RECEIVE);
        let is_point = match operation.as_deref() {
            Some(operation) => !is_receive && !LOOKS.contains(&operation),
            None => head.method != hyper::Method::GET,
        };
        let mut verdict = Verdict::Pass;
        if is_point {
            verdict = wire.request(&call);
            if matches!(verdict, Verdict::Break) {
                return Err(Cut);
            }
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("http://{}{path}", self.server)
            .parse()
            .map_err(|_| Cut)?;
        head.uri = uri;
        let request = Request::from_parts(head, Full::new(body));
        let answer = self.client.request(request).await.map_err(|_| Cut)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        if is_receive && brings_something(&body) {
            wire.late(&call).map_err(|_| Cut)?;
        }
        wire.answer(&verdict).map_err(|_| Cut)?;
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

pub(super) async fn serve(client: TcpStream, forward: &Forward, wire: Arc<Inner>) {
    let service = service_fn(|request| {
        let wire = Arc::clone(&wire);
        async move { forward.pass(request, &wire).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // It ends when either side has gone, or with the answer that is lost.
    let _: Result<(), _> = connection
        .serve_connection(TokioIo::new(client), service)
        .await;
}

/// The queue's name out of `"QueueUrl":"http://…/name"`.
fn queue_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let url = text.split("\"QueueUrl\":\"").nth(1);
    let url = url.and_then(|rest| rest.split('"').next());
    let name = url.and_then(|url| url.rsplit('/').next());
    name.unwrap_or_default().to_owned()
}

/// Whether the answer to a poll holds a message.
fn brings_something(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("\"ReceiptHandle\"")
}
