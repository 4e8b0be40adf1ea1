//! Where operators' orders meet this node's projections: a rebuild on one side, answers on the other, so that operators
//! hear how far a rebuild is while it goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::Notify;

use crate::ports::ProjectionOperators;

use super::Projections;

/// A pause after an order could not be carried out; the database may be away.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn follow(projections: Projections, operators: Arc<dyn ProjectionOperators>) {
    let asked = Notify::new();
    join(obey(&projections, &asked), answer(&projections, operators.as_ref(), &asked)).await;
}

/// One projection after the other: each holds two models in memory while it is rebuilt.
async fn obey(projections: &Projections, asked: &Notify) {
    loop {
        let mut done = true;
        for projection in projections.all() {
            if let Err(error) = projection.obey().await {
                tracing::warn!(%error, "operators' orders to a projection could not be carried out; it is tried again");
                done = false;
            }
            // An order for one that is still catching up waits until it has.
            done &= projection.status().live;
        }
        if done {
            asked.notified().await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn answer(projections: &Projections, operators: &dyn ProjectionOperators, asked: &Notify) {
    let mut answered = 0;
    loop {
        match operators.inquiry().await {
            Ok(inquiry) if inquiry != answered => {
                asked.notify_one();
                let statuses = projections.all().map(|projection| projection.status());
                match operators.report(inquiry, &statuses).await {
                    Ok(()) => answered = inquiry,
                    Err(error) => tracing::debug!(%error, "operators could not be answered"),
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "operators' inquiries can't be read"),
        }
        operators.wait().await;
    }
}
