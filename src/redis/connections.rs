use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::ManageConnection;
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{ErrorKind, RedisError};
use tokio::runtime::Handle;

use super::RedisSettings;
use super::link::{Era, Link};

/// What the pool makes its connections with.
pub(super) struct Connections {
    redis: RedisConnectionManager,
    link: Arc<Link>,
    timeout: Duration,
    io: Handle,
}

pub(super) struct Connection {
    pub redis: MultiplexedConnection,
    era: Era,
}

impl Connections {
    pub fn new(settings: &RedisSettings, link: Arc<Link>, io: Handle) -> Result<Connections, RedisError> {
        let redis = RedisConnectionManager::new(settings.url.as_str())?;
        Ok(Connections { redis, link, timeout: settings.timeout, io })
    }

    fn is_outdated(&self, connection: &Connection) -> bool {
        connection.era != self.link.now().era()
    }
}

impl ManageConnection for Connections {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let era = self.link.now().era();
        // The socket belongs to the runtime that it is made on, and the caller's may end sooner.
        let mut connecting = pin!(self.redis.connect());
        let mut redis = poll_fn(|context| {
            let _io = self.io.enter();
            connecting.as_mut().poll(context)
        })
        .await?;
        redis.set_response_timeout(self.timeout);
        Ok(Connection { redis, era })
    }

    /// It isn't asked: whoever takes it does that at once, and when one connection has failed, all are made anew.
    async fn is_valid(&self, connection: &mut Connection) -> Result<(), RedisError> {
        if self.is_outdated(connection) {
            return Err((ErrorKind::Client, "connected before Redis went away").into());
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.is_outdated(connection)
    }
}
