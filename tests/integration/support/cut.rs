//! A way to the database that breaks at the worst moment: the commit has gone through, and its answer has not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

pub struct CutLine {
    /// Of the database, by way of this line.
    pub url: String,
    armed: Arc<AtomicBool>,
}

impl CutLine {
    /// To an embedded database.
    pub async fn to(url: &str) -> CutLine {
        let config: Config = url.parse().unwrap();
        let Host::Unix(directory) = &config.get_hosts()[0] else { panic!("{url} is no socket's") };
        let socket = directory.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgresql://codeccloud@127.0.0.1:{}/codeccloud", listener.local_addr().unwrap().port());
        let armed = Arc::new(AtomicBool::new(false));
        let line = CutLine { url, armed: Arc::clone(&armed) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let database = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(pass_on(client, database, Arc::clone(&armed)));
            }
        });
        line
    }

    /// The next command that is settled loses its connection.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }
}

async fn pass_on(mut client: TcpStream, mut database: UnixStream, armed: Arc<AtomicBool>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    // What was sent since the command began to settle: from then on, no answer comes back.
    let mut unanswered: Option<Vec<u8>> = None;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let sent = &asked[..read.unwrap_or(0)];
                if sent.is_empty() || database.write_all(sent).await.is_err() {
                    return;
                }
                if unanswered.is_none() && holds(sent, b"app_private.settle(") && armed.swap(false, Ordering::SeqCst) {
                    unanswered = Some(Vec::new());
                }
                if let Some(unanswered) = &mut unanswered {
                    unanswered.extend_from_slice(sent);
                    if holds(unanswered, b"COMMIT") {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        return;
                    }
                }
            }
            read = database.read(&mut answered) => {
                let answer = &answered[..read.unwrap_or(0)];
                if answer.is_empty() || unanswered.is_none() && client.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
