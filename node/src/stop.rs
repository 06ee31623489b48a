//! How a node ends: by a signal, or because something failed that it cannot go on without.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The node was told to stop before it had started: no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the node was told to stop before it had started")
    }
}

impl std::error::Error for Stopped {}

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

    /// An error where the node stops: for a start, between one step and the next.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_stopping() { Err(Stopped) } else { Ok(()) }
    }

    /// What comes of `work`, which is given up where the node stops.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stopped() => Err(Stopped),
        }
    }

    /// Ends when the node stops.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}
