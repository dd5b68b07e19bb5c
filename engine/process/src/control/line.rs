//! One line of bounded length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// What [`read`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A whole line, without its line end.
    Whole(Vec<u8>),
    /// Longer than the limit; the rest is unread, so the connection is of no more use.
    TooLong,
    /// The other side ended, before or inside a line.
    End,
}

/// Reads up to the next line end, holding at most `max` + 1 bytes.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin), max: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    from.take(max as u64 + 1).read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Line::Whole(line));
    }
    Ok(if line.len() > max { Line::TooLong } else { Line::End })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn the_limit_counts_bytes_before_the_line_end() {
        for (bytes, expected) in [
            (&b"abcd\nrest"[..], Line::Whole(b"abcd".to_vec())),
            (b"abcde\n", Line::TooLong),
            (b"abcde", Line::TooLong),
            (b"abcd", Line::End),
            (b"", Line::End),
            (b"\n", Line::Whole(vec![])),
        ] {
            assert_eq!(read(&mut &*bytes, 4).await.unwrap(), expected);
        }
    }
}
