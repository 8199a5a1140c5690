//! Postgres: the frontend/backend protocol 3.0 (PostgreSQL manual, chapter "Frontend/Backend Protocol"), as far as
//! requests and their answers have to be told apart.

use std::collections::HashMap;
use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::TcpStream;

use super::{Inner, Verdict};

/// The first message of a client that asks for TLS.
const SSL_REQUEST: u32 = 80_877_103;
/// Answers to `AuthenticationRequest` that the client says nothing to: ok, and the end of SASL.
const AUTHENTICATION_SILENT: [u32; 2] = [0, 12];
/// No message of a test is longer.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

pub(super) async fn serve(client: TcpStream, server: TcpStream, wire: &Inner) {
    // A connection that breaks is broken at its other end as well: both are dropped here.
    let _ = pass(client, server, wire).await;
}

async fn pass(client: TcpStream, server: TcpStream, wire: &Inner) -> io::Result<()> {
    let (client_read, mut to_client) = client.into_split();
    let (server_read, mut to_server) = server.into_split();
    let mut from_client = BufReader::new(client_read);
    let mut from_server = BufReader::new(server_read);
    log_in(
        &mut from_client,
        &mut to_client,
        &mut from_server,
        &mut to_server,
    )
    .await?;

    let mut session = Session::default();
    while wait(&mut from_client, &mut from_server, &mut to_client).await? {
        let request = session.request(&mut from_client).await?;
        let mut verdict = Verdict::Pass;
        if let Some(call) = &request.call {
            verdict = wire.request(call);
            if matches!(verdict, Verdict::Break) {
                return Ok(());
            }
        }
        to_server.write_all(&request.bytes).await?;
        if request.is_last {
            return Ok(());
        }
        let answer = answer(&mut from_server).await?;
        if wire.answer(&verdict).is_err() {
            return Ok(());
        }
        to_client.write_all(&answer).await?;
    }
    Ok(())
}

/// Passes the start of a session through, up to the first "ready for query".
async fn log_in(
    from_client: &mut (impl AsyncRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
    from_server: &mut (impl AsyncRead + Unpin),
    to_server: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    loop {
        let mut start = vec![0; 4];
        from_client.read_exact(&mut start).await?;
        let rest = length(&start)?.saturating_sub(4);
        start.resize(4 + rest, 0);
        from_client.read_exact(&mut start[4..]).await?;
        to_server.write_all(&start).await?;
        if start.get(4..8) != Some(SSL_REQUEST.to_be_bytes().as_slice()) {
            break;
        }
        let answer = from_server.read_u8().await?;
        to_client.write_u8(answer).await?;
    }
    loop {
        let (kind, message) = message(from_server).await?;
        to_client.write_all(&message).await?;
        match kind {
            b'Z' => return Ok(()),
            b'R' => {
                let asks = message.get(5..9).and_then(|bytes| bytes.try_into().ok());
                let asks = asks.map_or(0, u32::from_be_bytes);
                if !AUTHENTICATION_SILENT.contains(&asks) {
                    let (_, reply) = self::message(from_client).await?;
                    to_server.write_all(&reply).await?;
                }
            }
            _ => {}
        }
    }
}

/// Waits for the client's next request; what the server says unasked goes to the client. False when either has gone.
async fn wait(
    from_client: &mut (impl AsyncBufRead + Unpin),
    from_server: &mut (impl AsyncBufRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<bool> {
    loop {
        tokio::select! {
            bytes = from_client.fill_buf() => return Ok(!bytes?.is_empty()),
            bytes = from_server.fill_buf() => {
                if bytes?.is_empty() {
                    return Ok(false);
                }
            }
        }
        let (_, unasked) = message(from_server).await?;
        to_client.write_all(&unasked).await?;
    }
}

fn length(bytes: &[u8]) -> io::Result<usize> {
    let length = bytes.try_into().map(u32::from_be_bytes).ok();
    length
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| (4..MESSAGE_BYTES_MAX).contains(length))
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// One message with its kind and length before it.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut bytes = vec![0; 5];
    from.read_exact(&mut bytes).await?;
    let rest = length(&bytes[1..5])? - 4;
    bytes.resize(5 + rest, 0);
    from.read_exact(&mut bytes[5..]).await?;
    Ok((bytes[0], bytes))
}

/// All up to and with "ready for query".
async fn answer(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        let (kind, message) = message(from).await?;
        answer.extend(message);
        if kind == b'Z' {
            return Ok(answer);
        }
    }
}

struct Request {
    bytes: Vec<u8>,
    /// What it does, if it does something.
    call: Option<String>,
    /// The client hangs up.
    is_last: bool,
}

/// What is known of a session.
#[derive(Default)]
struct Session {
    /// Prepared statements by name.
    statements: HashMap<String, String>,
    /// Tables written to since `BEGIN`.
    written: Vec<String>,
}

impl Session {
    /// All messages up to the one that asks for an answer.
    async fn request(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
        let mut request = Request {
            bytes: Vec::new(),
            call: None,
            is_last: false,
        };
        loop {
            let (kind, message) = message(from).await?;
            let mut texts = message[5..].split(|byte| *byte == 0);
            let mut text =
                || String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
            match kind {
                b'P' => {
                    let name = text();
                    self.statements.insert(name, text());
                }
                b'B' => {
                    let _portal = text();
                    let sql = self.statements.get(&text()).cloned();
                    request.call = sql.and_then(|sql| self.call(&sql));
                }
                b'Q' => request.call = self.call(&text()),
                b'X' => request.is_last = true,
                _ => {}
            }
            request.bytes.extend(message);
            if matches!(kind, b'Q' | b'S' | b'X') {
                return Ok(request);
            }
        }
    }

    fn call(&mut self, sql: &str) -> Option<String> {
        match sql {
            "BEGIN" | "ROLLBACK" => {
                self.written.clear();
                None
            }
            "COMMIT" => {
                let written = std::mem::take(&mut self.written);
                (!written.is_empty()).then(|| format!("COMMIT {}", written.join(" ")))
            }
            _ => {
                let call = statement(sql)?;
                for table in written(&call) {
                    if !self.written.contains(&table) {
                        self.written.push(table);
                    }
                }
                Some(call)
            }
        }
    }
}

/// The tables that a call of [`statement`] writes to.
fn written(call: &str) -> Vec<String> {
    let words: Vec<&str> = call.split(' ').collect();
    words
        .chunks(2)
        .filter(|pair| pair[0] != "SELECT")
        .filter_map(|pair| pair.get(1).map(|table| (*table).to_owned()))
        .collect()
}

/// What a statement does, in short: `INSERT customers UPDATE customers`, `SELECT orders`. `None` for what only looks
/// whether there is something to do, or touches no table.
#[must_use]
pub fn statement(sql: &str) -> Option<String> {
    let spaced = sql.to_ascii_lowercase().replace('(', " ( ");
    let words: Vec<&str> = spaced
        .split(|c: char| c.is_whitespace() || matches!(c, ')' | ',' | ';'))
        .filter(|word| !word.is_empty())
        .collect();
    if words.starts_with(&["select", "exists"]) {
        return None;
    }
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let named_here = |table: &str| {
        let names = (0..words.len()).filter(|&at| word(at + 1) == "as" && word(at + 2) == "(");
        names.into_iter().any(|at| word(at) == table)
    };
    let mut writes: Vec<String> = Vec::new();
    let mut reads: Vec<String> = Vec::new();
    for at in 0..words.len() {
        let before = at.checked_sub(1).map_or("", word);
        let (verb, table) = match word(at) {
            "insert" if word(at + 1) == "into" => ("INSERT", word(at + 2)),
            "delete" if word(at + 1) == "from" => ("DELETE", word(at + 2)),
            "update" if !matches!(before, "for" | "key" | "do") => ("UPDATE", word(at + 1)),
            // A function is no table.
            "from" | "join" if before != "delete" && word(at + 2) != "(" => {
                ("SELECT", word(at + 1))
            }
            _ => continue,
        };
        let found = format!("{verb} {table}");
        let list = if verb == "SELECT" {
            &mut reads
        } else {
            &mut writes
        };
        if !matches!(table, "" | "(") && !named_here(table) && !list.contains(&found) {
            list.push(found);
        }
    }
    let found = if writes.is_empty() { reads } else { writes };
    (!found.is_empty()).then(|| found.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{statement, written};

    #[test]
    fn a_statement_is_named_by_what_it_does_to_which_tables() {
        for (sql, name) in [
            (
                "INSERT INTO orders (id) SELECT * FROM unnest($1)",
                Some("INSERT orders"),
            ),
            ("SELECT EXISTS (SELECT FROM outbox)", None),
            ("SELECT 1", None),
            (
                "DELETE FROM outbox WHERE id = ANY($1)",
                Some("DELETE outbox"),
            ),
            (
                "WITH n AS (INSERT INTO a (x) SELECT 1 ON CONFLICT (x) DO UPDATE SET x = 1) UPDATE b SET x = 1 FROM n",
                Some("INSERT a UPDATE b"),
            ),
            (
                "SELECT FROM stock WHERE sku = $1 FOR NO KEY UPDATE",
                Some("SELECT stock"),
            ),
        ] {
            assert_eq!(statement(sql).as_deref(), name, "{sql}");
        }
        assert_eq!(written("INSERT a UPDATE b"), ["a", "b"]);
        assert!(written("SELECT stock").is_empty());
    }
}
