//! The metrics port: one page, by the same server as the API, with fewer places.

use super::Sources;
use crate::api::http::{ANY, Answer, Body, Call, Limits, Response, Router, Server};
use crate::stop::Stop;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Connections at once: monitoring asks from one or two places.
const CONNECTIONS: usize = 16;

/// Serves the page until the node stops.
pub async fn serve(listener: TcpListener, sources: Arc<Sources>, stop: Stop) {
    let limits = Limits {
        connections: CONNECTIONS,
        ..Limits::of_descriptors(0, 0)
    };
    let mut router = Router::default();
    router.get("/metrics", ANY, metrics);
    Server::new(router, sources, limits, None)
        .serve(listener, stop.stopped())
        .await;
}

async fn metrics(sources: Arc<Sources>, _: Call) -> Answer {
    let mut response = Response::new(Body::full(sources.page()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
