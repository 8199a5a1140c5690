//! An S3 server in this process: `s3s-fs`, one folder per bucket, signatures checked against one
//! key pair. For the stack on one machine and for tests; it knows no tags, storage classes,
//! versions or lifecycle rules.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue,
};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long transfers in hand may take after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// The pause after an `accept` that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of a bucket cannot be made.
    #[error("cannot create {}: {cause}", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The folder cannot be served.
    #[error("cannot keep objects in {}: {reason}", .folder.display())]
    Store {
        /// Which.
        folder: PathBuf,
        /// In s3s-fs's words.
        reason: String,
    },
    /// No port.
    #[error("no free port for S3: {0}")]
    Port(io::Error),
}

/// Objects that anyone may read, as a bucket policy would say for a CDN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Public<'a> {
    /// In this bucket,
    pub bucket: &'a str,
    /// with keys that begin so.
    pub prefix: &'a str,
}

/// Who may do what: whoever has the keys everything, others what is public.
struct Access {
    public: Vec<(String, String)>,
}

impl Access {
    fn is_public(&self, asked: &S3AccessContext<'_>) -> bool {
        let reads = matches!(asked.s3_op().name(), "GetObject" | "HeadObject");
        let object = asked.s3_path().as_object().filter(|_| reads);
        object.is_some_and(|(bucket, key)| {
            let mut public = self.public.iter();
            public.any(|(name, prefix)| name == bucket && key.starts_with(prefix.as_str()))
        })
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, asked: &mut S3AccessContext<'_>) -> S3Result<()> {
        if asked.credentials().is_some() || self.is_public(asked) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}

/// A running server. It stops when it is dropped, cutting transfers off.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `dir` with these buckets, of which some objects may be public, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(
        dir: &Path,
        buckets: &[&str],
        public: &[Public<'_>],
        access_key: &str,
        secret_key: &str,
    ) -> Result<Self, Error> {
        for bucket in buckets {
            let folder = dir.join(bucket);
            if let Err(cause) = std::fs::create_dir_all(&folder) {
                return Err(Error::Folder { folder, cause });
            }
        }
        let files = FileSystem::new(dir).map_err(|error| Error::Store {
            folder: dir.to_owned(),
            reason: format!("{error:?}"),
        })?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let public = public.iter();
        builder.set_access(Access {
            public: public
                .map(|it| (it.bucket.to_owned(), it.prefix.to_owned()))
                .collect(),
        });
        let service = builder.build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::Port)?;
        let address = listener.local_addr().map_err(Error::Port)?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, service, stop.clone()));
        Ok(Self {
            address,
            stop,
            serving: Some(serving),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests and lets those in hand finish, 5 s at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(serving) = self.serving.take() {
            // It has a limit of its own, and nothing that could panic.
            drop(serving.await);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Answers with the headers that `response-…` parameters ask for, which s3s-fs does not know. They are signed with the rest
/// of the URL.
async fn answer(
    service: S3Service,
    request: hyper::Request<Incoming>,
) -> Result<HttpResponse, HttpError> {
    let asked = asked_headers(request.uri().query().unwrap_or_default());
    let mut response = service.call(request.map(Body::from)).await?;
    if response.status().is_success() {
        for (name, value) in asked {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn asked_headers(query: &str) -> Vec<(HeaderName, HeaderValue)> {
    let parameters = form_urlencoded::parse(query.as_bytes());
    let asked = parameters.filter_map(|(name, value)| {
        let name = match &*name {
            "response-cache-control" => CACHE_CONTROL,
            "response-content-disposition" => CONTENT_DISPOSITION,
            "response-content-language" => CONTENT_LANGUAGE,
            "response-content-type" => CONTENT_TYPE,
            _ => return None,
        };
        Some((name, HeaderValue::from_str(&value).ok()?))
    });
    asked.collect()
}

async fn serve(listener: TcpListener, service: S3Service, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Or the last piece of an answer waits for the acknowledgement of the one before: 40 ms.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| answer(service.clone(), request)),
        );
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an S3 connection broke");
            }
        });
    }
    drop(listener);
    drop(tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await);
}
