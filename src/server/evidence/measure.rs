//! The store's size for the metrics, and its end.

use std::convert::Infallible;
use std::future::pending;

use tokio::time::{MissedTickBehavior, interval};

use crate::evidence::{Error, Store};
use crate::retrieval::Library;
use crate::telemetry::metrics::{self, EvidenceSize};

/// Measures the store at intervals for as long as it is polled.
pub(in crate::server) async fn measured(library: Option<&Library>) -> Infallible {
    let Some(library) = library else { return pending().await };
    let store = library.store();
    let mut looks = interval(store.measure_interval());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match size(store).await {
            Ok(size) => metrics::set_evidence(size),
            Err(error) => tracing::warn!(%error, "the store of evidence cannot be measured"),
        }
    }
}

/// Closes the store, so that the next start has nothing to repeat.
pub(in crate::server) async fn close(library: Option<&Library>) {
    let Some(library) = library else { return };
    if let Err(error) = library.store().close().await {
        tracing::error!(%error, "the store of evidence did not close");
    }
}

async fn size(store: &Store) -> Result<EvidenceSize, Error> {
    let damaged = store.damaged().len() as u64;
    let mut size = EvidenceSize { damaged, ..EvidenceSize::default() };
    for collection in store.collections().await? {
        match store.statistics(&collection.name).await {
            Ok(statistics) => {
                size.collections += 1;
                size.items += statistics.items;
                size.chunks += statistics.chunks;
                size.disk_bytes += statistics.disk_bytes;
            }
            // It was deleted meanwhile.
            Err(Error::UnknownCollection { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}
