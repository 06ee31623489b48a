//! Long answers: made in pieces by workers, a few answers at a time.
//!
//! A list of millions of validators is written some thousands at a time, each piece by one short job when the client has
//! taken the piece before; so duties wait for a millisecond at most, and memory is that of a few pieces.

use super::http::{Body, Broken, Error, stream};
use crate::work::{Busy, Lane, Work};
use consensus::ssz::Out;
use hyper::body::Bytes;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Long answers at once. Each may keep a state alive that is otherwise gone.
const PLACES: usize = 2;

/// How many may wait for a place.
const WAITING_MAX: usize = 8;

/// How long they may wait.
const WAIT: Duration = Duration::from_secs(10);

/// How often a piece is tried again where the lane is full, and after which pause.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Pieces of an encoding that may wait for the client; each is 64 KiB.
const PIECES_AHEAD: usize = 4;

/// The places of long answers, and those who wait for one.
pub(super) struct Places {
    taken: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            taken: Arc::new(Semaphore::new(PLACES)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }
}

impl Places {
    /// A place for a long answer. 503 where too many wait already or none becomes free.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, Error> {
        let busy = || Error::unavailable("too many long answers at once; try again in a moment");
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let place = tokio::time::timeout(WAIT, Arc::clone(&self.taken).acquire_owned()).await;
        place.map_err(|_| busy())?.map_err(|_| busy())
    }
}

/// Something that is written piece by piece.
pub(super) trait Pieces: Send + 'static {
    /// Writes the next piece, some milliseconds of work, and tells whether more follows.
    fn write(&mut self, out: &mut Vec<u8>) -> bool;
}

/// A body of such pieces. It holds its `place` until the end.
pub(super) fn body_of(work: &Work, pieces: impl Pieces, place: Option<OwnedSemaphorePermit>) -> Body {
    let work = work.clone();
    let body = stream(Arc::new(Mutex::new(pieces)), move |pieces| next(work.clone(), pieces));
    body.holding(place)
}

async fn next<P: Pieces>(work: Work, pieces: Arc<Mutex<P>>) -> Result<(Bytes, Option<Arc<Mutex<P>>>), Broken> {
    for _ in 0..TRIES {
        let shared = Arc::clone(&pieces);
        let made = work.run(Lane::Api, move || {
            // Nobody else has it; a poisoned one has panicked before, and then nothing more can come of it.
            let mut pieces = shared.lock().map_err(|_| Broken)?;
            let mut out = Vec::new();
            let more = pieces.write(&mut out);
            Ok((Bytes::from(out), more))
        });
        match made.await {
            Ok(Ok((bytes, more))) => return Ok((bytes, more.then_some(pieces))),
            Ok(Err(broken)) => return Err(broken),
            Err(Busy) => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(Broken)
}

/// A writer whose bytes a client reads: waits for it, and fails when it has gone.
struct ToClient(mpsc::Sender<Bytes>);

impl io::Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A body that an encoder writes which cannot stop half-way, such as that of a state. It runs on a thread for blocking
/// work, since it waits for the client and a worker must not.
pub(super) fn encoded(place: OwnedSemaphorePermit, encode: impl FnOnce(&mut Out) + Send + 'static) -> Body {
    let (send, receive) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut writer = ToClient(send);
        let mut out = Out::writer(&mut writer);
        encode(&mut out);
        if out.finish().is_err() {
            tracing::debug!("a client went away before its answer was complete");
        }
    });
    let body = stream(receive, |mut receive: mpsc::Receiver<Bytes>| async move {
        Ok(match receive.recv().await {
            Some(bytes) => (bytes, Some(receive)),
            None => (Bytes::new(), None),
        })
    });
    body.holding(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Body as _;
    use std::future::poll_fn;
    use std::pin::Pin;

    struct Count(u8);

    impl Pieces for Count {
        fn write(&mut self, out: &mut Vec<u8>) -> bool {
            self.0 += 1;
            assert!(self.0 != 7, "on purpose");
            out.push(self.0);
            self.0 != 3
        }
    }

    async fn read(mut body: Body) -> Result<Vec<u8>, Broken> {
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            all.extend_from_slice(frame?.data_ref().map_or(&[], |bytes| &bytes[..]));
        }
        Ok(all)
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_a_panic_breaks_off() {
        let work = Work::new();
        let worker = work.clone();
        let thread = std::thread::spawn(move || worker.work());
        assert_eq!(read(body_of(&work, Count(0), None)).await, Ok(vec![1, 2, 3]));
        assert_eq!(read(body_of(&work, Count(6), None)).await, Err(Broken));
        work.close();
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn an_encoding_waits_for_the_client_and_ends_with_it() {
        let places = Places::default();
        let begun = encoded(places.take().await.unwrap(), |out| {
            for _ in 0..1000 {
                out.put(&vec![7; 64 << 10]);
            }
        });
        let whole = encoded(places.take().await.unwrap(), |out| out.put(b"short"));
        assert_eq!(places.taken.available_permits(), 0);
        drop(begun);
        assert_eq!(read(whole).await, Ok(b"short".to_vec()));
        assert_eq!(places.taken.available_permits(), PLACES);
    }
}
