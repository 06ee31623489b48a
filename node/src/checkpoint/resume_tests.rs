//! A fetch that broke off goes on where it did, but never with what another server or the chain has given up.

use super::tests::{Folder, Pair, SLOT, checkpoint_at, config, limits};
use super::*;
use crate::tls::Authorities;
use consensus::ssz::Bytes;
use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const FINALIZED: &str = "/eth/v2/beacon/blocks/finalized";

/// A server of what stands at its paths, which goes on where it is asked to and breaks off after so many bytes.
struct Server {
    url: String,
    /// Path and start of every request for a state.
    asked: Arc<Mutex<Vec<(String, usize)>>>,
}

fn of_slot(slot: u64) -> String {
    format!("/eth/v2/beacon/blocks/{slot}")
}

fn state_path(pair: &Pair) -> String {
    // Behind offset, signature, slot, proposer and parent root.
    let root: [u8; 32] = pair.block[148..180].try_into().unwrap();
    format!("/eth/v2/debug/beacon/states/{}", Bytes(root))
}

impl Server {
    async fn start(paths: Vec<(String, &[u8])>, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut paths: HashMap<String, Vec<u8>> = paths.into_iter().map(|(at, of)| (at, of.to_vec())).collect();
        let spec = serde_json::json!({ "data": config().spec_json() });
        paths.insert("/eth/v1/config/spec".into(), spec.to_string().into_bytes());
        let (paths, asked) = (Arc::new(paths), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&paths), Arc::clone(&kept), most));
            }
        });
        Server { url, asked }
    }

    fn asked(&self) -> Vec<(String, usize)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    paths: Arc<HashMap<String, Vec<u8>>>,
    asked: Arc<Mutex<Vec<(String, usize)>>>,
    most: usize,
) -> Option<()> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).unwrap().to_lowercase();
        let path = request.split(' ').nth(1).unwrap();
        let range = request.split("range: bytes=").nth(1);
        let from = range.and_then(|text| text.split('-').next()?.parse().ok()).unwrap_or(0);
        if path.contains("/states/") {
            asked.lock().unwrap().push((path.to_owned(), from));
        }
        let Some(body) = paths.get(path) else {
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                .await
                .ok()?;
            continue;
        };
        let (rest, last) = (&body[from..], body.len() - 1);
        let status = match from {
            0 => "200 OK".to_owned(),
            _ => format!(
                "206 Partial Content\r\ncontent-range: bytes {from}-{last}/{}",
                body.len()
            ),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", rest.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        let sent = if path.contains("/states/") {
            rest.len().min(most)
        } else {
            rest.len()
        };
        stream.write_all(&rest[..sent]).await.ok()?;
        if sent < rest.len() {
            return None;
        }
    }
}

async fn fetched(server: &Server, folder: &Folder) -> Result<Raw> {
    let once = Limits {
        attempts: 1,
        ..limits()
    };
    fetch(&server.url, &Authorities::default(), &config(), &folder.0, &once).await
}

/// A folder in which a fetch broke off, with the checkpoint that was fetched and how much of its state has come.
async fn broken_off() -> (Folder, Pair, usize) {
    let (folder, pair) = (Folder::new(), checkpoint_at(SLOT, |_| {}));
    let part = pair.state.len() / 3;
    let server = Server::start(
        vec![(FINALIZED.into(), &pair.block), (state_path(&pair), &pair.state)],
        part,
    );
    let server = server.await;
    let why = fetched(&server, &folder).await.unwrap_err();
    assert!(format!("{why:#}").contains("again and again"), "{why:#}");
    assert_eq!(
        fs::metadata(folder.0.join("checkpoint.part")).unwrap().len(),
        part as u64
    );
    (folder, pair, part)
}

fn is_empty(folder: &Folder) -> bool {
    fs::read_dir(&folder.0).unwrap().next().is_none()
}

#[tokio::test]
async fn a_fetch_goes_on_after_the_program_ended() {
    let (folder, pair, part) = broken_off().await;
    // Finality has moved on meanwhile, and this is another server of the same chain.
    let newer = checkpoint_at(SLOT + 32, |_| {});
    let paths = vec![
        (FINALIZED.into(), &newer.block[..]),
        (of_slot(SLOT), &pair.block),
        (state_path(&newer), &newer.state),
        (state_path(&pair), &pair.state),
    ];
    let server = Server::start(paths, usize::MAX).await;
    let raw = fetched(&server, &folder).await.unwrap();
    assert_eq!(server.asked(), [(state_path(&pair), part)]);
    assert_eq!(raw.block, pair.block);
    assert_eq!(raw.state.decode(&config()).unwrap().encode(), pair.state);
    assert!(is_empty(&folder), "nothing is left over");
}

#[tokio::test]
async fn a_block_that_the_server_does_not_name_is_not_gone_on_with() {
    let newer = checkpoint_at(SLOT + 32, |_| {});
    let other = checkpoint_at(SLOT, |state| state.eth1_deposit_index = 7);
    let older = checkpoint_at(SLOT - 32, |_| {});
    // Another block at that slot, none, or the slot is not final here.
    for (newest, named) in [(&newer, Some(&other)), (&newer, None), (&older, None)] {
        let (folder, pair, _) = broken_off().await;
        let mut paths = vec![
            (FINALIZED.into(), &newest.block[..]),
            (state_path(newest), &newest.state),
            (state_path(&pair), &pair.state),
        ];
        if newest.block == older.block {
            paths.push((of_slot(SLOT), &pair.block));
        }
        paths.extend(named.map(|named| (of_slot(SLOT), &named.block[..])));
        let server = Server::start(paths, usize::MAX).await;
        let raw = fetched(&server, &folder).await.unwrap();
        assert_eq!(server.asked(), [(state_path(newest), 0)]);
        assert_eq!(raw.block, newest.block);
        assert_eq!(raw.state.decode(&config()).unwrap().encode(), newest.state);
        assert!(is_empty(&folder), "nothing is left over");
    }
}

#[tokio::test]
async fn where_the_state_is_gone_the_newest_is_fetched() {
    let (folder, pair, part) = broken_off().await;
    let newer = checkpoint_at(SLOT + 32, |_| {});
    let paths = vec![
        (FINALIZED.into(), &newer.block[..]),
        (of_slot(SLOT), &pair.block),
        (state_path(&newer), &newer.state),
    ];
    let server = Server::start(paths, usize::MAX).await;
    let raw = fetched(&server, &folder).await.unwrap();
    assert_eq!(server.asked(), [(state_path(&pair), part), (state_path(&newer), 0)]);
    assert_eq!(raw.state.decode(&config()).unwrap().encode(), newer.state);
    assert!(is_empty(&folder), "nothing is left over");
}
