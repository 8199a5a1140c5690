//! Whether something answers.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// Whether a `GET` of this `http://` URL on this machine answers 200.
pub(super) async fn answers(url: &str) -> bool {
    let look = async {
        let url = Url::parse(url).ok()?;
        let host = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        let mut stream = TcpStream::connect(&host).await.ok()?;
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
            url.path()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        Some(head.ends_with(b" 200"))
    };
    matches!(tokio::time::timeout(LOOK_MAX, look).await, Ok(Some(true)))
}
