//! The server over real sockets, with clients that behave and clients that do not.

use super::*;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Running {
    port: u16,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// Pieces that streams have made.
    made: Arc<AtomicU64>,
}

fn limits() -> Limits {
    Limits {
        head_time: Duration::from_millis(500),
        idle_time: Duration::from_secs(3),
        body_time: Duration::from_millis(500),
        answer_time: Duration::from_secs(1),
        write_time: Duration::from_secs(1),
        stop_time: Duration::from_millis(500),
        body_bytes: 1 << 20,
        ..Limits::of_descriptors(raise_descriptor_limit(), DESCRIPTORS_KEPT_BACK)
    }
}

fn router() -> Router<AtomicU64> {
    let mut router = Router::default();
    router.get("/hello", ANY, |_, _| async { Ok(Response::new(Body::full("hello"))) });
    router.get("/piece/{a}/of/{b}", ANY, |_, call: Call| async move {
        let text = format!("{} of {}", call.path(0), call.path_number(1, "piece")?);
        Ok(Response::new(Body::full(text)))
    });
    router.get("/form", JSON_OR_SSZ, |_, call: Call| async move {
        Ok(Response::new(Body::full(call.format.media_type())))
    });
    router.get("/slow", ANY, |_, _| async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        Ok(Response::new(Body::empty()))
    });
    router.get("/panic", ANY, |_, _| async { panic!("on purpose") });
    router.post("/echo", Upload::json_or_ssz(1000), ANY, |_, call: Call| async move {
        Ok(Response::new(Body::full(call.payload.bytes)))
    });
    router.post("/keep", Upload::json(600 << 10), ANY, |_, call: Call| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Response::new(Body::full(call.payload.bytes.len().to_string())))
    });
    // A gigabyte, unless the client stops reading.
    router.get("/huge", ANY, |made: Arc<AtomicU64>, _| async {
        let body = stream(0u32, move |number| {
            let made = Arc::clone(&made);
            async move {
                made.fetch_add(1, Ordering::Relaxed);
                let piece = Bytes::from(vec![b'x'; 64 << 10]);
                Ok((piece, (number < 16 << 10).then_some(number + 1)))
            }
        });
        Ok(Response::new(body))
    });
    router.get("/three", ANY, |_, _| async {
        let body = stream(0u8, |number| async move {
            let piece = if number == 1 {
                Bytes::new()
            } else {
                Bytes::from(vec![b'0' + number])
            };
            Ok((piece, (number < 2).then_some(number + 1)))
        });
        Ok(Response::new(body))
    });
    router.get("/breaks", ANY, |_, _| async {
        let body = stream(true, |first| async move {
            if first {
                Ok((Bytes::from_static(b"begin"), Some(false)))
            } else {
                Err(Broken)
            }
        });
        Ok(Response::new(body))
    });
    router
}

async fn start(limits: Limits, origin: Option<&'static str>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopping) = watch::channel(false);
    let made = Arc::new(AtomicU64::new(0));
    let server = Server::new(
        router(),
        Arc::clone(&made),
        limits,
        origin.map(HeaderValue::from_static),
    );
    let counts = server.counts();
    let task = tokio::spawn(async move {
        let mut stopping = stopping;
        let stop = async move { assert!(stopping.wait_for(|stop| *stop).await.is_ok()) };
        server.serve(listener, stop).await;
    });
    Running {
        port,
        counts,
        stop,
        task,
        made,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends `request` and reads until the server closes.
    async fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_all(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        self.ask(request.as_bytes()).await
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
        self.ask(format!("{head}{headers}\r\n{body}").as_bytes()).await
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is an end too.
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn routes_methods_and_escapes() {
    let server = start(limits(), None).await;
    let answer = server.get("/hello").await;
    assert_eq!((status(&answer), body(&answer)), (200, "hello"));
    assert_eq!(body(&server.get("/piece/a%2fb/of/7?x=1").await), "a/b of 7");
    assert_eq!(status(&server.get("/piece/a/of/x").await), 400);
    assert_eq!(status(&server.get("/piece//of/7").await), 404);
    assert_eq!(status(&server.get("/piece/%f/of/7").await), 400);
    assert_eq!(status(&server.get("/nowhere").await), 404);
    let answer = server.post("/hello", "", "").await;
    assert_eq!(status(&answer), 405);
    assert!(answer.contains("allow: GET"), "{answer}");
    assert!(body(&answer).contains(r#""code":405"#), "{answer}");
    assert_eq!(status(&server.get("/slow").await), 503);
    assert_eq!(server.get("/panic").await, "");
    assert_eq!(body(&server.get("/hello").await), "hello");
}

#[tokio::test]
async fn forms_are_negotiated() {
    let server = start(limits(), None).await;
    let asked = async |accept: &str| {
        let request = format!("GET /form HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\r\n");
        server.ask(request.as_bytes()).await
    };
    assert_eq!(
        body(&asked("application/octet-stream").await),
        "application/octet-stream"
    );
    assert_eq!(body(&asked("*/*").await), "application/json");
    assert_eq!(status(&asked("text/html").await), 406);
    assert_eq!(body(&server.get("/form").await), "application/json");
}

#[tokio::test]
async fn bodies_are_bounded_and_of_the_forms_taken() {
    let server = start(limits(), None).await;
    assert_eq!(body(&server.post("/echo", "", "[1]").await), "[1]");
    let ssz = "Content-Type: application/octet-stream\r\n";
    assert_eq!(status(&server.post("/echo", ssz, "abc").await), 200);
    assert_eq!(status(&server.post("/keep", ssz, "abc").await), 415);
    assert_eq!(
        status(&server.post("/echo", "Content-Type: text/plain\r\n", "x").await),
        415
    );
    assert_eq!(status(&server.post("/echo", "", &"x".repeat(1001)).await), 413);
    // Announced as nothing, sent in chunks.
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(&server.ask(format!("{head}{chunk}").as_bytes()).await), 413);
    // A body that does not come.
    let slow = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12";
    let answer = server.ask(slow.as_bytes()).await;
    assert_eq!(status(&answer), 408, "{answer}");
}

#[tokio::test]
async fn bodies_share_a_limit_that_comes_back() {
    let server = Arc::new(start(limits(), None).await);
    let large = "x".repeat(500 << 10);
    let asks = (0..5).map(|_| {
        let (server, large) = (Arc::clone(&server), large.clone());
        tokio::spawn(async move { status(&server.post("/keep", "", &large).await) })
    });
    let mut codes = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        codes.push(ask.await.unwrap());
    }
    assert!(codes.contains(&200) && codes.contains(&503), "{codes:?}");
    assert_eq!(status(&server.post("/keep", "", &large).await), 200);
}

#[tokio::test]
async fn pieces_arrive_in_order_and_breaking_off_shows() {
    let server = start(limits(), None).await;
    let answer = server.get("/three").await;
    assert_eq!(body(&answer), "1\r\n0\r\n1\r\n2\r\n0\r\n\r\n");
    let answer = server.get("/breaks").await;
    // Whether what came before the break still goes out is a matter of time.
    assert!(
        !answer.ends_with("0\r\n\r\n") && (answer.is_empty() || status(&answer) == 200),
        "no final chunk: {answer}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_written_for() {
    let server = start(limits(), None).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let made = server.made.load(Ordering::Relaxed);
    assert!(
        made > 0 && made < 512,
        "{made} pieces of 64 KiB fill the socket's buffers, no more"
    );
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(server.counts.open.load(Ordering::Relaxed), 0);
    assert_eq!(server.counts.overdue.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn slow_heads_and_idle_connections_end() {
    let server = start(limits(), None).await;
    let begin = Instant::now();
    let mut stream = server.connect().await;
    for byte in b"GET /hello HTTP/1.1\r\nHost: x\r\nX: y\r\nZ: w\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(read_all(&mut stream).await, "");
    assert!(begin.elapsed() < Duration::from_millis(5500), "{:?}", begin.elapsed());
    // Idle after an answer.
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let begin = Instant::now();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    assert!(begin.elapsed() > Duration::from_secs(2), "{:?}", begin.elapsed());
    // Heads that are too large.
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 << 10));
    assert!(matches!(status(&server.ask(long.as_bytes()).await), 414 | 431 | 0));
    let many = format!("GET /hello HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(status(&server.ask(many.as_bytes()).await), 431);
    assert_eq!(
        status(&server.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await),
        400
    );
}

#[tokio::test]
async fn where_all_places_are_taken_the_idlest_makes_room() {
    let few = Limits {
        connections: 4,
        idle_time: Duration::from_mins(1),
        head_time: Duration::from_mins(1),
        ..limits()
    };
    let server = start(few, None).await;
    let mut served = server.connect().await;
    served
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 1024];
    assert!(served.read(&mut buffer).await.unwrap() > 0);
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(server.connect().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(body(&server.get("/hello").await), "hello");
    assert_eq!(server.counts.refused.load(Ordering::Relaxed), 0);
    assert!(server.counts.open.load(Ordering::Relaxed) <= 4);
    // The one that has been answered is still there.
    served
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(served.read(&mut buffer).await.unwrap() > 0);
}

#[tokio::test]
async fn connections_that_are_being_answered_stay_and_others_are_refused() {
    let few = Limits {
        connections: 2,
        answer_time: Duration::from_mins(1),
        ..limits()
    };
    let server = start(few, None).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        busy.push(stream);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.get("/hello").await, "");
    assert_eq!(server.counts.refused.load(Ordering::Relaxed), 1);
    drop(busy);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(body(&server.get("/hello").await), "hello");
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    let server = start(limits(), None).await;
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(status(&server.post("/echo", origin, "[]").await), 403);
    let preflight = format!("OPTIONS /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{origin}\r\n");
    assert_eq!(status(&server.ask(preflight.as_bytes()).await), 403);
    let get = format!("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{origin}\r\n");
    let answer = server.ask(get.as_bytes()).await;
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    let open = start(limits(), Some("http://evil.example")).await;
    assert_eq!(status(&open.post("/echo", origin, "[]").await), 200);
    let answer = open.ask(preflight.as_bytes()).await;
    assert_eq!(status(&answer), 204);
    assert!(
        answer.contains("access-control-allow-origin: http://evil.example"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_stop_finishes_what_is_open_and_takes_nothing_new() {
    let server = start(limits(), None).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut open = server.connect().await;
    let request = "POST /keep HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1234";
    open.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.send(true).unwrap();
    assert!(read_all(&mut open).await.ends_with("\r\n\r\n4"));
    assert!(read_all(&mut idle).await.ends_with("hello"));
    let begin = Instant::now();
    server.task.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_bad_connections_delay_nobody() {
    let patient = Limits {
        head_time: Duration::from_secs(30),
        idle_time: Duration::from_secs(30),
        write_time: Duration::from_secs(30),
        ..limits()
    };
    // Both ends of every connection are in this process.
    let patient = Limits {
        connections: patient
            .connections
            .min(raise_descriptor_limit().saturating_sub(1200).max(64)),
        ..patient
    };
    let server = start(patient, None).await;
    let mut bad = Vec::new();
    for number in 0..1000 {
        let mut stream = server.connect().await;
        let sent: &[u8] = match number % 4 {
            0 => b"",
            1 => b"GET /hel",
            2 => b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n",
            _ => b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
        };
        // A server with few descriptors may have closed it already.
        let _ = stream.write_all(sent).await;
        if number % 8 == 3 {
            let _ = stream.shutdown().await;
        }
        bad.push(stream);
    }
    let mut took = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        assert_eq!(body(&server.get("/hello").await), "hello");
        took.push(begin.elapsed());
    }
    took.sort_unstable();
    assert!(took[197] < Duration::from_millis(250), "p99 {:?}", took[197]);
    assert_eq!(status(&server.get("/nowhere").await), StatusCode::NOT_FOUND.as_u16());
}
