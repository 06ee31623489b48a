//! The port: HTTP/1.1 on loopback, bounded in connections, time and size; nothing is looked at before the token.

use super::answer::{Answer, Problem, respond};
use super::routes;
use super::token::{Token, WrittenAddress};
use super::{Keymanager, PORT};
use crate::http_server::{self, Limits};
use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const LIMITS: Limits = Limits {
    // One operator and a few tools.
    connections: 16,
    // An import of a thousand keystores takes an hour on a small machine.
    lifetime: Duration::from_hours(2),
};
/// A request's body must come within this time: it comes from this machine.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest body: a thousand keystores with the ends of their histories are some 3 MB.
const MAX_BODY: usize = 16 << 20;

/// Opens the port. `None` takes the usual one, or any that is free where another client has
/// it: the commands find it in the folder. The error names a port that was asked for and cannot be had.
pub(crate) async fn listen(port: Option<u16>) -> Result<TcpListener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match port {
        Some(port) => TcpListener::bind(at(port)).await.with_context(|| {
            format!(
                "cannot listen on {} for the keymanager API: give another --keymanager-port, or 0 to switch it off",
                at(port)
            )
        }),
        None => match TcpListener::bind(at(PORT)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(at(0)).await.context("no port is free on loopback"),
        },
    }
}

/// Says where the API is, in the log and in the folder, for as long as the answer is kept.
fn announce(listener: &TcpListener, folder: &Path) -> Result<WrittenAddress> {
    let address = listener.local_addr().context("the port has no address")?;
    let written = WrittenAddress::write(folder, address)?;
    tracing::info!(
        "keymanager API on http://{address}, its token is in {}",
        folder.display()
    );
    Ok(written)
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, keymanager: Keymanager, token: Token) {
    let announced = announce(&listener, keymanager.signer.folder());
    if let Err(error) = &announced {
        tracing::error!("commands will not find this client: {error:#}");
    }
    let token = Arc::new(token);
    let routes = move |request| {
        let (keymanager, token) = (keymanager.clone(), token.clone());
        async move { respond(answer(request, &keymanager, &token).await) }
    };
    http_server::serve(listener, LIMITS, routes).await;
}

async fn answer(request: Request<Incoming>, keymanager: &Keymanager, token: &Token) -> Answer {
    check_token(&request, token)?;
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    let query = head.uri.query().unwrap_or_default();
    routes::answer(keymanager, &head.method, head.uri.path(), query, &body).await
}

/// Spec: keymanager-APIs, `bearerAuth`: 401 where there is no token, 403 where it is wrong.
fn check_token(request: &Request<Incoming>, token: &Token) -> Result<(), Problem> {
    let shown = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match shown {
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "a token is missing: send 'Authorization: Bearer TOKEN' with what the file api_token in the client's folder holds",
        )),
        Some(shown) if !token.is(shown) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this is not the token of this client: it is in the file api_token in the client's folder",
        )),
        Some(_) => Ok(()),
    }
}

async fn read_body(body: Incoming) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let collected =
        collected.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body is longer than {MAX_BODY} bytes; send fewer keys at a time");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        } else {
            Problem::bad(format!("the body broke off: {error}"))
        }
    })
}
