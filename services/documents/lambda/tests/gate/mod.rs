//! A gate on the way to S3 that holds some files back until it is opened.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

/// Requests for `N.pdf` with `N` from a number on get no answer until the gate is opened; all others pass.
pub(crate) struct Gate {
    address: SocketAddr,
    way: Arc<Way>,
}

struct Way {
    s3: SocketAddr,
    client: Client<HttpConnector, Body>,
    /// Files before this one pass.
    open_to: watch::Sender<usize>,
    read: Mutex<BTreeSet<usize>>,
}

impl Gate {
    /// Lets files before `first` pass.
    pub(crate) async fn before(s3: SocketAddr, first: usize) -> Self {
        let way = Arc::new(Way {
            s3,
            client: Client::builder(TokioExecutor::new()).build_http(),
            open_to: watch::Sender::new(first),
            read: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&way));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, way }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets everything pass, and forgets what was read before.
    pub(crate) async fn open(&self) {
        self.way.read.lock().await.clear();
        self.way.open_to.send_replace(usize::MAX);
    }

    /// The files that were asked for since it was opened.
    pub(crate) async fn read(&self) -> BTreeSet<usize> {
        self.way.read.lock().await.clone()
    }
}

/// The request goes on as it came: host and path are signed.
async fn pass(
    State(way): State<Arc<Way>>,
    mut request: Request,
) -> Result<Response<Body>, StatusCode> {
    if let Some(file) = file_of(request.uri().path()) {
        way.read.lock().await.insert(file);
        // A caller who gives up ends this, too.
        let mut open_to = way.open_to.subscribe();
        let opened = open_to.wait_for(|open_to| file < *open_to).await;
        opened.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    }
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    *request.uri_mut() = format!("http://{}{path}", way.s3).parse().unwrap();
    let answer = way.client.request(request).await;
    let answer = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(answer.map(Body::new))
}

fn file_of(path: &str) -> Option<usize> {
    let (_, name) = path.rsplit_once('/')?;
    name.strip_suffix(".pdf")?.parse().ok()
}
