//! HTTP/1.1 servers of this program: the keymanager API and the metrics page, both bounded in connections and time.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request's head must come within this time: whoever asks is on this machine or near it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Out of file descriptors, most likely: trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a server takes upon itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; more wait.
    pub(crate) connections: usize,
    /// A connection is closed after this time.
    pub(crate) lifetime: Duration,
}

/// Answers until it is dropped, and its connections with it.
pub(crate) async fn serve<A, F>(listener: TcpListener, limits: Limits, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.len() >= limits.connections {
            connections.join_next().await;
        }
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("a connection failed: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // How a client left is of no interest.
            let _ = tokio::time::timeout(limits.lifetime, connection).await;
        });
    }
}
