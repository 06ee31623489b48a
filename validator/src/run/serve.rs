//! The metrics port: one page, over HTTP/1.1.

use crate::http_server::{self, Limits};
use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const LIMITS: Limits = Limits {
    // Monitoring asks from one or two places.
    connections: 8,
    // It makes a new connection.
    lifetime: Duration::from_mins(5),
};

/// Opens the port. The error names it.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| {
        format!("cannot listen on {address} for metrics: give another --metrics-port, or 0 to switch them off")
    })
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let page = move |request| {
        let metrics = metrics.clone();
        async move { answer(&request, &metrics) }
    };
    http_server::serve(listener, LIMITS, page).await;
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        let mut response = Response::new(Full::from("metrics are at /metrics\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(Full::from(metrics.render()));
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[tokio::test]
    async fn the_page_is_served_and_nothing_else() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Arc::default()));
        for (path, status, text) in [
            ("/metrics", "200 OK", "wren_validator_clock_wrong 0"),
            ("/", "404 Not Found", "/metrics"),
        ] {
            let answer = tokio::task::spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            let answer = answer.await.unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(text),
                "{answer}"
            );
        }
        assert!(
            listen(address)
                .await
                .unwrap_err()
                .to_string()
                .contains(&address.to_string())
        );
        server.abort();
    }
}
