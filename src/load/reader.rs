//! Reads before and after the run, where only the answer matters and not how long it took.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::LoadError;
use super::client::{Answer, Connection, ExchangeError, Target};

const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How often to ask while the server is away, restarts or asks for patience.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// Before the run, a wrong address should be noticed soon.
    Short,
    /// After it, the server may have to recover first from what was done to it.
    Long,
}

impl Patience {
    fn attempts(self) -> u32 {
        match self {
            Patience::Short => 4,
            Patience::Long => 80,
        }
    }
}

pub struct Reader {
    connection: Connection,
    target: Arc<Target>,
    head: HeaderMap,
    patience: Patience,
}

impl Reader {
    pub fn new(target: Arc<Target>, head: HeaderMap, patience: Patience) -> Reader {
        Reader { connection: Connection::new(target.clone()), target, head, patience }
    }

    /// All pages of a bare-array list. `path` begins with `/v1`.
    pub async fn list<T: DeserializeOwned>(&mut self, path: &str) -> Result<Vec<T>, LoadError> {
        let mut next = Some(format!("{}{path}", self.target.base));
        let mut entries = Vec::new();
        while let Some(page) = next {
            let answer = self.get_at(&page).await?;
            if answer.status != 200 {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                return Err(LoadError::Refused { path: page, status: answer.status, body });
            }
            let parsed: Result<Vec<T>, _> = serde_json::from_slice(&answer.body);
            entries.extend(parsed.map_err(|error| LoadError::Malformed { path: page, error })?);
            next = answer.next_page();
        }
        Ok(entries)
    }

    /// The answer, whatever its status. `path` begins with `/v1`.
    pub async fn get(&mut self, path: &str) -> Result<Answer, LoadError> {
        self.get_at(&format!("{}{path}", self.target.base)).await
    }

    async fn get_at(&mut self, path: &str) -> Result<Answer, LoadError> {
        let mut why = ExchangeError::Unreachable.to_string();
        for _ in 0..self.patience.attempts() {
            let mut request = Request::get(path).body(Full::new(Bytes::new())).expect("a path of ids and times");
            *request.headers_mut() = self.head.clone();
            match self.connection.exchange(request).await {
                Ok(answer) if answer.status != 503 && answer.status != 429 => return Ok(answer),
                Ok(answer) => why = format!("status {}", answer.status),
                Err(error) => why = error.to_string(),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Err(LoadError::NoAnswer { path: path.to_owned(), why })
    }
}
