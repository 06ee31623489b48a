//! Accepting connections and answering the requests on them.

use super::media::{Format, best_format};
use super::registry::{Busy, Counts, Entry, Registry};
use super::request::{Payload, UNIT, read_payload};
use super::{Body, Call, Error, Limits, Query, Response, Router};
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, HeaderValue, ORIGIN,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How often slow connections are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// How long accepting rests where no descriptor is left: others close theirs meanwhile.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The buffer of a connection, and so the largest head of a request: 64 public keys in a query are 7 KiB.
const BUFFER: usize = 32 << 10;

/// Headers of a request; proxies add a dozen.
const HEADERS_MAX: usize = 64;

/// What connections share.
struct Shared<C> {
    router: Router<C>,
    context: Arc<C>,
    limits: Limits,
    /// Room for the bodies of requests, in units.
    room: Arc<Semaphore>,
    registry: Registry,
    allow_origin: Option<HeaderValue>,
}

/// A server, ready to run.
pub struct Server<C> {
    shared: Arc<Shared<C>>,
}

impl<C> std::fmt::Debug for Server<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<C: Send + Sync + 'static> Server<C> {
    /// A server of these routes. `allow_origin` is the one origin whose pages may use it from a browser, or `*`; without
    /// it none may.
    pub fn new(router: Router<C>, context: Arc<C>, limits: Limits, allow_origin: Option<HeaderValue>) -> Self {
        let room = Arc::new(Semaphore::new(limits.body_bytes / UNIT));
        Server {
            shared: Arc::new(Shared {
                router,
                context,
                limits,
                room,
                registry: Registry::new(),
                allow_origin,
            }),
        }
    }

    /// What the server has seen, for metrics.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.shared.registry.counts)
    }

    /// Serves until `stop` ends; then finishes open requests, as far as the limit for that allows.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let shared = self.shared;
        let mut tasks = JoinSet::new();
        let (stopping, stopped) = watch::channel(false);
        let mut stop = pin!(stop);
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.as_mut() => break,
                _ = sweep.tick() => shared.registry.sweep(&shared.limits),
                Some(_) = tasks.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => admit(&shared, &mut tasks, stream, client, &stopped),
                    Err(error) => rest(&shared.registry, &error).await,
                },
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(shared.limits.stop_time, all).await.is_err() {
            tracing::debug!("requests are still open at the end and are broken off");
        }
    }
}

/// After an accept that failed. A connection that broke before it was accepted is nothing; where descriptors or memory
/// are used up, an idle connection goes and accepting rests for a moment, since it would fail again at once.
async fn rest(registry: &Registry, error: &io::Error) {
    let broken = [
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::Interrupted,
    ];
    if broken.contains(&error.kind()) {
        return;
    }
    let before = registry.counts.exhausted.fetch_add(1, Ordering::Relaxed);
    // The first and then every minute's worth.
    if before.is_multiple_of(600) {
        tracing::warn!(%error, count = before + 1, "no connection to the API can be accepted at the moment");
    }
    registry.make_room();
    tokio::time::sleep(BACK_OFF).await;
}

fn admit<C: Send + Sync + 'static>(
    shared: &Arc<Shared<C>>,
    tasks: &mut JoinSet<()>,
    stream: TcpStream,
    client: SocketAddr,
    stop: &watch::Receiver<bool>,
) {
    let Some(entry) = shared.registry.enter(client.ip(), &shared.limits) else {
        return;
    };
    let present = Present(Arc::clone(shared), Arc::clone(&entry));
    let task = tasks.spawn(converse(present, stream, client.ip(), stop.clone()));
    entry.set_task(task);
}

/// Takes a connection off the books when its task ends, however it ends.
struct Present<C>(Arc<Shared<C>>, Arc<Entry>);

impl<C> Drop for Present<C> {
    fn drop(&mut self) {
        self.0.registry.leave(&self.1);
    }
}

/// The life of a connection.
async fn converse<C: Send + Sync + 'static>(
    present: Present<C>,
    stream: TcpStream,
    client: IpAddr,
    mut stop: watch::Receiver<bool>,
) {
    let (shared, entry) = (&present.0, &present.1);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%client, %error, "a connection was gone at once");
        return;
    }
    let service = service_fn(|request| async {
        let busy = Busy::new(entry);
        Ok::<_, Infallible>(respond(shared, request, client, busy).await)
    });
    let watched = Watched {
        stream,
        entry: Arc::clone(entry),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The registry tells idle clients from slow ones and is stricter; this is a second line.
        .header_read_timeout(shared.limits.idle_time + shared.limits.head_time)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(watched), service);
    let mut connection = pin!(connection);
    // A server that is gone without a word has stopped too.
    let stopping = async move { stop.wait_for(|stopping| *stopping).await.is_ok() };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "a connection ended with an error");
    }
}

/// Answers one request, whatever it is.
async fn respond<C>(shared: &Shared<C>, request: Request<Incoming>, client: IpAddr, busy: Busy) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let origin = request.headers().get(ORIGIN).cloned();
    let begun = Instant::now();
    let answer = match check_origin(shared, &request) {
        Ok(Some(preflight)) => preflight,
        Ok(None) => match tokio::time::timeout(shared.limits.answer_time, answer(shared, request, client)).await {
            Ok(answer) => answer,
            Err(_) => Error::unavailable("the answer took too long; the node is busy").response(),
        },
        Err(error) => error.response(),
    };
    let mut response = answer;
    if let (Some(allowed), Some(_)) = (&shared.allow_origin, origin) {
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
    }
    let status = response.status();
    tracing::debug!(%client, %method, %path, status = status.as_u16(), "request");
    let counts = &shared.registry.counts;
    counts.requests.fetch_add(1, Ordering::Relaxed);
    counts.time.took(begun.elapsed());
    if status.is_server_error() {
        counts.failed.fetch_add(1, Ordering::Relaxed);
    }
    let body = response.body_mut();
    if body.lasts() {
        busy.may_last();
    }
    body.busy = Some(busy);
    response
}

/// Browsers say from which page a request comes. Pages of other origins than the allowed one may not change anything:
/// a page that a user looks at must not be able to set the fee recipient of a node on the same machine. Gives the answer
/// to a preflight request.
fn check_origin<C>(shared: &Shared<C>, request: &Request<Incoming>) -> Result<Option<Response>, Error> {
    let Some(origin) = request.headers().get(ORIGIN) else {
        return Ok(None);
    };
    let allowed = shared.allow_origin.as_ref();
    let is_allowed = allowed.is_some_and(|allowed| allowed == "*" || allowed == origin);
    if *request.method() == Method::OPTIONS && is_allowed {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        let allowed = "Accept, Content-Type, Eth-Consensus-Version";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        return Ok(Some(response));
    }
    if is_allowed || *request.method() == Method::GET || *request.method() == Method::HEAD {
        return Ok(None);
    }
    let message = "pages in a browser may not use this; allow their origin when starting the node";
    Err(Error::new(StatusCode::FORBIDDEN, message))
}

async fn answer<C>(shared: &Shared<C>, request: Request<Incoming>, client: IpAddr) -> Response {
    let found = match shared.router.find(request.method(), request.uri().path()) {
        Ok(found) => found,
        Err((error, allowed)) => {
            let mut response = error.response();
            if let Ok(allowed) = HeaderValue::from_str(&allowed)
                && !allowed.is_empty()
            {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
    };
    let (parts, mut body) = request.into_parts();
    let call = async {
        let format = if found.offers.is_empty() {
            Format::Json
        } else {
            best_format(&parts.headers, found.offers)?
        };
        let query = Query::parse(parts.uri.query().unwrap_or(""))?;
        let payload = if found.upload.bytes == 0 {
            Payload::default()
        } else {
            let upload = found.upload;
            let read = read_payload(&parts.headers, &mut body, upload.bytes, upload.formats, &shared.room);
            let read = tokio::time::timeout(shared.limits.body_time, read).await;
            read.unwrap_or_else(|_| {
                Err(Error::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body took too long to come",
                ))
            })?
        };
        Ok(Call {
            path: found.path,
            query,
            headers: parts.headers,
            payload,
            format,
            client,
        })
    };
    let answer = match call.await {
        Ok(call) => (found.handler)(Arc::clone(&shared.context), call).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|mut error: Error| {
        if found.upload.indexed && error.code == StatusCode::BAD_REQUEST {
            error.failures.get_or_insert_default();
        }
        error.response()
    })
}

/// A stream whose progress the registry sees.
struct Watched {
    stream: TcpStream,
    entry: Arc<Entry>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.entry.has_read();
        }
        read
    }
}

impl Watched {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        self.entry.has_written(written.is_ready());
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
