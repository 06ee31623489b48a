//! The Beacon API: what validator clients, operators and tools ask the node.
//!
//! A handler reads the latest snapshot and waits for nobody but a worker. What hashes, encodes or walks a registry is a
//! worker's, in pieces where it is long; what reads the database is one of a few blocking readers. The law is the
//! beacon-APIs specification, whose names stand beside the handlers.

mod beacon;
mod bulk;
mod config;
mod debug;
mod events;
pub mod http;
mod ids;
mod json;
mod liveness;
mod network;
mod node;
mod read;
mod reply;
mod rewards;
mod upload;
mod validator;

pub use network::{Alone, CommitteeSubscription, Identity, Network, Peer, PeerState, SyncSubscription};

use crate::chain::Chain;
use crate::execution::Engine;
use crate::light::{self, Light};
use crate::pools::Pools;
use crate::produce::Producer;
use crate::stop::Stop;
use crate::work::{Busy, Lane};
use consensus::types::{Root, Slot};
use consensus::{Invalid, State};
use http::{Counts, Error, Limits, Router, Server};
use hyper::header::HeaderValue;
use std::sync::{Arc, OnceLock};
use storage::Storage;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OwnedSemaphorePermit};

/// What handlers need of the node.
pub struct ApiContext {
    chain: Chain,
    pools: Arc<Pools>,
    producer: Arc<Producer>,
    storage: Storage,
    light: Arc<Light>,
    engine: Arc<Engine>,
    network: Arc<dyn Network>,
    stop: Stop,
    bulk: bulk::Places,
    readers: read::Readers,
    subscribers: events::Subscribers,
    /// Held while a state is moved on: whoever waits for it finds the result instead of computing it again.
    moving: Mutex<()>,
    counts: OnceLock<Arc<Counts>>,
}

impl std::fmt::Debug for ApiContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiContext").finish_non_exhaustive()
    }
}

/// How a server of the API is set up.
#[derive(Clone, Debug, Default)]
pub struct ApiOptions {
    /// The origin whose pages may use the API from a browser, or `*`; none by default.
    pub allow_origin: Option<String>,
    /// Descriptors kept back besides [`http::DESCRIPTORS_KEPT_BACK`]: for the connections of peers.
    pub descriptors_kept_back: usize,
}

impl ApiContext {
    /// Handlers over these parts of the node.
    pub fn new(
        chain: Chain,
        pools: Arc<Pools>,
        producer: Arc<Producer>,
        light: Arc<Light>,
        engine: Arc<Engine>,
        network: Arc<dyn Network>,
        stop: Stop,
    ) -> Self {
        ApiContext {
            chain,
            pools,
            producer,
            storage: light.storage().clone(),
            light,
            engine,
            network,
            stop,
            bulk: bulk::Places::default(),
            readers: read::Readers::default(),
            subscribers: events::Subscribers::default(),
            moving: Mutex::default(),
            counts: OnceLock::new(),
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Who makes blocks.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// The network as the API sees it.
    pub fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// What the server has seen, for metrics; `None` before it serves.
    pub fn counts(&self) -> Option<&Arc<Counts>> {
        self.counts.get()
    }

    /// The state after a block, moved on to a slot: at hand, or computed by a worker, for one request after the other.
    async fn moved(&self, root: Root, slot: Slot) -> Result<Result<Arc<State>, Invalid>, Error> {
        let _moving = self.moving.lock().await;
        Ok(self.chain.state_at(root, slot, Lane::Api).await?)
    }

    /// A place for a long answer. 503 where there is none, or too little memory.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        if !self.chain.pressure().may_answer() {
            return Err(Error::unavailable(
                "the node is short of memory and gives no long answers now; try again later, or start it with more as --max-memory",
            ));
        }
        self.bulk.take().await
    }

    /// Has a worker do something that takes longer than a look at the snapshot.
    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        Ok(self.chain.work().run(Lane::Api, job).await?)
    }
}

impl From<light::Failed> for Error {
    fn from(failed: light::Failed) -> Self {
        match failed {
            light::Failed::Busy => Busy.into(),
            light::Failed::Storage(why) => Error::internal(format!("the database cannot be read: {why}")),
        }
    }
}

impl From<Busy> for Error {
    fn from(busy: Busy) -> Self {
        Error::unavailable(busy.to_string())
    }
}

/// A handler's arguments.
type Context = Arc<ApiContext>;

/// Serves the Beacon API on a listener until the node stops.
pub async fn serve(listener: TcpListener, context: Arc<ApiContext>, options: &ApiOptions) {
    let descriptors = http::raise_descriptor_limit();
    let kept_back = http::DESCRIPTORS_KEPT_BACK.saturating_add(options.descriptors_kept_back);
    let limits = Limits::of_descriptors(descriptors, kept_back);
    let origin = options.allow_origin.as_deref().map(HeaderValue::from_str);
    let origin = origin.transpose().unwrap_or_else(|_| {
        tracing::warn!("the allowed origin is no text that fits into a header; no origin is allowed");
        None
    });
    let (stop, of_context) = (context.stop.clone(), Arc::clone(&context));
    let server = Server::new(router(), context, limits, origin);
    // A context is served once.
    let _ = of_context.counts.set(server.counts());
    server.serve(listener, stop.stopped()).await;
}

/// All endpoints.
pub fn router() -> Router<ApiContext> {
    let mut router = Router::default();
    beacon::routes(&mut router);
    config::routes(&mut router);
    debug::routes(&mut router);
    events::routes(&mut router);
    node::routes(&mut router);
    rewards::routes(&mut router);
    validator::routes(&mut router);
    router
}
