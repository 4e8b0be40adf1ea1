//! How commands reach the database: beside a running server, or on their own.

use std::error::Error;
use std::future::Future;

use super::Outcome;
use crate::app;
use crate::postgres::embedded::{Access, superuser_url_of};
use crate::postgres::{Database, DatabaseRole, PooledClient};
use crate::settings::Settings;

/// A database for the length of one command.
pub(super) struct Opened {
    pub url: String,
    pub database: Database,
    embedded: Option<Access>,
}

impl Opened {
    pub async fn new(settings: &Settings) -> Result<Opened, Box<dyn Error>> {
        let embedded = match &settings.database.url {
            Some(_) => None,
            None => Some(Access::open(&settings.data.dir).await?),
        };
        let url = match (&settings.database.url, &embedded) {
            (Some(url), _) => url.expose().clone(),
            (None, Some(embedded)) => embedded.url(),
            (None, None) => unreachable!("one of the two was just made"),
        };
        let database = app::open(&url, settings)?;
        Ok(Opened { url, database, embedded })
    }

    pub async fn client(&self, role: DatabaseRole) -> Result<PooledClient, Box<dyn Error>> {
        let connecting = self.database.connect(role).await;
        connecting.map_err(|error| crate::postgres::described(&error).into())
    }

    /// Of the embedded database only: a deployment with another one has its administrator's.
    pub fn superuser_url(&self, settings: &Settings) -> Result<String, Box<dyn Error>> {
        if self.embedded.is_none() {
            return Err("this is for the embedded database; use your administrator's login".into());
        }
        Ok(superuser_url_of(&settings.data.dir).ok_or("the database has just stopped")?)
    }

    /// The database was started for this command, so no server runs on it.
    pub fn is_alone(&self) -> bool {
        matches!(self.embedded, Some(Access::Owned(_)))
    }

    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.close().await;
        }
    }
}

pub(super) fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(command)
}
