//! Redis: RESP 2 and 3 (the protocol's specification at redis.io), as far as commands and replies have to be told apart.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Inner, Verdict};

/// Commands that set a connection up, or only look.
const NO_POINTS: [&str; 8] = [
    "AUTH", "CLIENT", "GET", "HELLO", "INFO", "PING", "SCRIPT", "SELECT",
];

pub(super) async fn serve(
    client: TcpStream,
    server: TcpStream,
    wire: &Inner,
    scripts: &HashMap<String, String>,
) {
    // A connection that breaks is broken at its other end as well: both are dropped here.
    let _ = pass(client, server, wire, scripts).await;
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    wire: &Inner,
    scripts: &HashMap<String, String>,
) -> io::Result<()> {
    let (client_read, mut to_client) = client.into_split();
    let (server_read, mut to_server) = server.into_split();
    let mut from_client = BufReader::new(client_read);
    let mut from_server = BufReader::new(server_read);
    loop {
        tokio::select! {
            bytes = from_client.fill_buf() => {
                if bytes?.is_empty() {
                    return Ok(());
                }
            }
            // It says nothing unasked but that it is gone.
            bytes = from_server.fill_buf() => {
                if bytes?.is_empty() {
                    return Ok(());
                }
                let unasked = value(&mut from_server).await?;
                to_client.write_all(&unasked).await?;
                continue;
            }
        }
        let command = value(&mut from_client).await?;
        let words = words(&command);
        let name = words.first().map(|name| name.to_ascii_uppercase());
        let name = name.unwrap_or_default();
        if name.ends_with("SUBSCRIBE") {
            // From here on the server speaks unasked.
            to_server.write_all(&command).await?;
            let up = tokio::io::copy_buf(&mut from_client, &mut to_server);
            let down = tokio::io::copy_buf(&mut from_server, &mut to_client);
            tokio::select! {
                _ = up => {}
                _ = down => {}
            }
            return Ok(());
        }
        let mut verdict = Verdict::Pass;
        if !NO_POINTS.contains(&name.as_str()) {
            let script = words.get(1).and_then(|sha| scripts.get(*sha));
            verdict = wire.request(script.unwrap_or(&name));
            if matches!(verdict, Verdict::Break) {
                return Ok(());
            }
        }
        to_server.write_all(&command).await?;
        let reply = value(&mut from_server).await?;
        if wire.answer(&verdict).is_err() {
            return Ok(());
        }
        to_client.write_all(&reply).await?;
    }
}

/// One value, as it came.
async fn value(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut open = 1_u64;
    while open > 0 {
        open -= 1;
        let start = bytes.len();
        if from.read_until(b'\n', &mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = &bytes[start..];
        let count = || -> u64 {
            let digits = String::from_utf8_lossy(&line[1..]);
            // -1 stands for nothing.
            digits.trim().parse().unwrap_or(0)
        };
        match line[0] {
            b'*' | b'~' | b'>' => open += count(),
            b'%' => open += 2 * count(),
            b'|' => open += 2 * count() + 1,
            b'$' | b'=' | b'!' if line.get(1) != Some(&b'-') => {
                let length = usize::try_from(count()).unwrap_or(0) + 2;
                let start = bytes.len();
                bytes.resize(start + length, 0);
                from.read_exact(&mut bytes[start..]).await?;
            }
            _ => {}
        }
    }
    Ok(bytes)
}

/// The first two words of a command.
fn words(command: &[u8]) -> Vec<&str> {
    let text = command.split(|byte| *byte == b'\n');
    let lines = text.map(|line| std::str::from_utf8(line).unwrap_or_default().trim_end());
    // `*2`, `$4`, the word, `$5`, the word
    lines.skip(2).step_by(2).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::{value, words};

    #[tokio::test]
    async fn a_value_ends_where_it_ends() {
        for one in [
            "+OK\r\n",
            "$-1\r\n",
            "*2\r\n$4\r\nPING\r\n$2\r\n\r\n\r\n",
            "*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
            "%1\r\n+a\r\n*0\r\n",
        ] {
            let two = format!("{one}+next\r\n");
            let mut from = two.as_bytes();
            let found = value(&mut from).await.unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), one);
        }
    }

    #[test]
    fn a_command_is_known_by_its_first_words() {
        let command = b"*3\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$1\r\n0\r\n";
        assert_eq!(words(command), ["EVALSHA", "abc"]);
    }
}
