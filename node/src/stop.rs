//! How a node ends: by a signal, or because something failed that it cannot go on without.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Tells all parts of the node to stop. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop {
    stopping: watch::Sender<bool>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not stopping.
    pub fn new() -> Self {
        Stop {
            stopping: watch::channel(false).0,
            failure: Arc::default(),
        }
    }

    /// Stops the node in good order.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Stops the node because of a failure; the first one is what the operator is told.
    pub fn fail(&self, why: String) {
        tracing::error!("{why}; the node stops");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(why);
        drop(failure);
        self.stop();
    }

    /// What failed, if anything did.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the node stops.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the node stops.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}
