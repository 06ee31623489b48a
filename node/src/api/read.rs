//! Reading the database for requests: blocking reads, a few at a time.

use super::ApiContext;
use super::http::Error;
use std::sync::Arc;
use storage::Storage;
use tokio::sync::Semaphore;

/// Reads at once. A disk of a small machine gains nothing from more, and each takes a thread.
const READS_MAX: usize = 4;

/// The places of readers.
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Readers(Arc::new(Semaphore::new(READS_MAX)))
    }
}

impl ApiContext {
    /// Reads something from the database. A database that cannot be read is an error 500.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> storage::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.readers.0).acquire_owned().await;
        let storage = self.storage.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Kept to the end, even if whoever asked has gone.
            let _place = place;
            read(&storage)
        });
        let done = done
            .await
            .map_err(|_| Error::internal("a read of the database failed"))?;
        done.map_err(|error| {
            tracing::error!(%error, "the database could not be read for a request");
            Error::internal(format!("the database cannot be read: {error}"))
        })
    }
}
