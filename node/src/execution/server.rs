//! The dev engine behind the Engine API, so that nodes of any make can join a local chain.
//!
//! It listens on loopback and wants a token in every request, as a real engine does, and bounds what one connection can
//! take: bytes of a request, time of a request, and their number.
//!
//! Spec: execution-apis, src/engine/common.md and authentication.md.

use super::client::CAPABILITIES;
use super::dev::DevEngine;
use super::http::UnixTime;
use super::json;
use super::jwt::JwtSecret;
use super::methods;
use super::types::{RpcError, code};
use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at once, at most: a few nodes with a few each.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request, at most: a payload of 10 MiB (EIP-7934) in hex, and what stands around it.
const MAX_REQUEST: usize = 24 << 20;
/// Requests in one body, at most.
const MAX_BATCH: usize = 32;
/// The time in which the head of a request must be there.
const HEAD: Duration = Duration::from_secs(10);
/// The time in which a request's body must be there.
const BODY: Duration = Duration::from_secs(10);
/// A pause after a failed accept, such as when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The dev engine with what guards it.
#[derive(Debug)]
pub struct Server {
    engine: Arc<DevEngine>,
    secret: JwtSecret,
    now: UnixTime,
}

impl Server {
    /// A server of this engine, for clients with this secret. `now` reads the wall clock (Unix seconds).
    pub fn new(engine: Arc<DevEngine>, secret: JwtSecret, now: UnixTime) -> Self {
        Server { engine, secret, now }
    }

    /// Serves on a port of loopback (0: a free one) until the process ends; `listening` is told the address. This is a
    /// program of its own, so it makes its runtime itself: one thread, as nothing here takes long.
    pub fn run(self, port: u16, listening: impl FnOnce(SocketAddr)) -> Result<Infallible> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener = listener.with_context(|| {
                format!("cannot listen on 127.0.0.1:{port}: another program may have the port; choose one with --port")
            })?;
            listening(listener.local_addr().context("the socket has no address")?);
            Ok(Arc::new(self).serve(listener).await)
        })
    }

    /// Serves until the future is dropped, which closes every connection.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> Infallible {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // Finished ones are cleared away, so that the set is no larger than the number of places.
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                unreachable!("the semaphore is never closed");
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let server = Arc::clone(&self);
                    connections.spawn(async move {
                        server.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        stream.set_nodelay(true).ok();
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.respond(request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "requests are POSTed");
        }
        if let Err(why) = self.authorize(&request) {
            return plain(StatusCode::UNAUTHORIZED, &why);
        }
        if request.body().size_hint().lower() > MAX_REQUEST as u64 {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
        }
        let body = Limited::new(request.into_body(), MAX_REQUEST).collect();
        let body = match tokio::time::timeout(BODY, body).await {
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
            Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body broke off or is too long"),
            Ok(Ok(body)) => body.to_bytes(),
        };
        let answer = self.answer_body(&body).to_string();
        let mut response = Response::new(Full::new(Bytes::from(answer)));
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn authorize(&self, request: &Request<Incoming>) -> Result<(), String> {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .ok_or("a token is missing (Authorization: Bearer …)")?;
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        self.secret.verify(
            token.ok_or("the Authorization header is no bearer token")?.trim(),
            (self.now)(),
        )
    }

    /// The answer to a body: one request, or a list of them.
    fn answer_body(&self, body: &[u8]) -> Value {
        match json::parse(body) {
            Err(why) => failed(&Value::Null, &RpcError::new(code::PARSE_ERROR, why)),
            Ok(Value::Array(batch)) if batch.is_empty() || batch.len() > MAX_BATCH => {
                let why = format!("{} requests in one body, at most {MAX_BATCH}", batch.len());
                failed(&Value::Null, &RpcError::new(code::INVALID_REQUEST, why))
            }
            Ok(Value::Array(batch)) => batch.iter().map(|request| self.answer(request)).collect(),
            Ok(request) => self.answer(&request),
        }
    }

    fn answer(&self, request: &Value) -> Value {
        let id = match request.get("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            _ => Value::Null,
        };
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return failed(&id, &RpcError::new(code::INVALID_REQUEST, "a request has a method"));
        };
        let none = Vec::new();
        let params = match request.get("params") {
            None | Some(Value::Null) => &none,
            Some(Value::Array(params)) => params,
            Some(_) => return failed(&id, &RpcError::new(code::INVALID_PARAMS, "params are a list")),
        };
        match methods::call(&self.engine, method, params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => failed(&id, &error),
        }
    }
}

/// What the server can do: what our client asks for, and what those of others do besides. Spec: common.md, `engine_exchangeCapabilities`.
pub(crate) fn capabilities() -> Value {
    let of_others = ["engine_getPayloadBodiesByHashV1", "engine_getPayloadBodiesByRangeV1"];
    json!([&CAPABILITIES[..], &of_others].concat())
}

fn failed(id: &Value, error: &RpcError) -> Value {
    let message = json::words(&error.message);
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": error.code, "message": message } })
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}
