//! Redis' protocol, version 2, as far as counting needs it.

/// A command in the form in which it is sent.
pub(super) struct Command {
    arguments: Vec<u8>,
    count: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Error(String),
    Number(i64),
    Nil,
    List(Vec<Reply>),
}

impl Command {
    pub(super) fn new(name: &str) -> Command {
        Command { arguments: Vec::new(), count: 0 }.argument(name)
    }

    #[must_use]
    pub(super) fn argument(mut self, argument: impl ToString) -> Command {
        let text = argument.to_string();
        self.arguments.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
        self.arguments.extend_from_slice(text.as_bytes());
        self.arguments.extend_from_slice(b"\r\n");
        self.count += 1;
        self
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("*{}\r\n", self.count).as_bytes());
        out.extend_from_slice(&self.arguments);
    }
}

impl Reply {
    /// Reads an answer from the start of the bytes and says how long it is; `None` if there is more to come.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n") else { return Ok(None) };
        let Some((kind, line)) = bytes[..end].split_first() else { return Err("an empty line".to_owned()) };
        let line = String::from_utf8_lossy(line).into_owned();
        let next = end + 2;
        let length = || line.parse::<i64>().map_err(|_| format!("{line:?} is no length"));
        Ok(Some(match kind {
            b'+' => (Reply::Text(line.into_bytes()), next),
            b'-' => (Reply::Error(line), next),
            b':' => (Reply::Number(line.parse().map_err(|_| format!("{line:?} is no number"))?), next),
            b'$' => {
                let Ok(length) = usize::try_from(length()?) else { return Ok(Some((Reply::Nil, next))) };
                let Some(text) = bytes.get(next..next + length + 2) else { return Ok(None) };
                (Reply::Text(text[..length].to_vec()), next + length + 2)
            }
            b'*' => {
                let Ok(length) = usize::try_from(length()?) else { return Ok(Some((Reply::Nil, next))) };
                let (mut items, mut at) = (Vec::new(), next);
                for _ in 0..length {
                    let Some((item, size)) = Reply::read(&bytes[at..])? else { return Ok(None) };
                    items.push(item);
                    at += size;
                }
                (Reply::List(items), at)
            }
            other => return Err(format!("an answer that begins with {:?}", char::from(*other))),
        }))
    }

    /// The number it is or spells; nothing is zero.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Reply::Number(number) => u64::try_from(*number).ok(),
            Reply::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Reply::Nil => Some(0),
            Reply::Error(_) | Reply::List(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lists_of_texts() {
        let mut out = Vec::new();
        Command::new("SET").argument("é").argument(5).write(&mut out);
        assert_eq!(out, "*3\r\n$3\r\nSET\r\n$2\r\né\r\n$1\r\n5\r\n".as_bytes());
    }

    #[test]
    fn answers_are_read_whole_or_not_yet() {
        let bytes = b"*5\r\n:1\r\n$2\r\nab\r\n$-1\r\n-ERR no\r\n+OK\r\n:7\r\n";
        let list = Reply::List(vec![
            Reply::Number(1),
            Reply::Text(b"ab".to_vec()),
            Reply::Nil,
            Reply::Error("ERR no".to_owned()),
            Reply::Text(b"OK".to_vec()),
        ]);
        let length = bytes.len() - 4;
        assert_eq!(Reply::read(bytes), Ok(Some((list, length))));
        for cut in 0..length {
            assert_eq!(Reply::read(&bytes[..cut]), Ok(None), "{cut}");
        }
        for bad in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"$x\r\n", b":x\r\n", b"\r\n"] {
            assert!(Reply::read(bad).is_err());
        }
    }
}
