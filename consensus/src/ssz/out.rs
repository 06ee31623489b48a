//! Where encoders write: memory, or a writer that gets the bytes piece by piece.
//!
//! A state of 300 MB must reach a socket or a file without standing in memory a second time, and small objects must be
//! written without a virtual call per integer. One concrete type does both: a buffer that is drained into the writer
//! when it has grown.

use std::io;

/// The buffer is drained when it holds this much: large enough that the writer's own cost per call does not show.
const DRAIN_AT: usize = 64 * 1024;

/// A sink for encoded bytes.
#[derive(Default)]
pub struct Out<'a> {
    buf: Vec<u8>,
    sink: Option<&'a mut dyn io::Write>,
    error: Option<io::Error>,
}

impl<'a> Out<'a> {
    /// A sink that keeps everything in memory, with room for `capacity` bytes.
    pub fn memory(capacity: usize) -> Out<'static> {
        Out {
            buf: Vec::with_capacity(capacity),
            sink: None,
            error: None,
        }
    }

    /// A sink that passes everything on to `writer`, in pieces of some 64 KiB.
    pub fn writer(writer: &'a mut dyn io::Write) -> Out<'a> {
        Out {
            buf: Vec::with_capacity(DRAIN_AT + DRAIN_AT / 4),
            sink: Some(writer),
            error: None,
        }
    }

    /// Appends `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        if self.buf.len() >= DRAIN_AT && self.sink.is_some() {
            self.drain();
        }
    }

    /// Appends an SSZ offset.
    ///
    /// Panics beyond 4 GiB, which no object that was decoded or built within the spec's limits and this machine's
    /// memory reaches.
    pub fn put_offset(&mut self, offset: usize) {
        let offset = u32::try_from(offset).expect("an SSZ object stays below 4 GiB");
        self.put(&offset.to_le_bytes());
    }

    /// Passes the buffer on; after a failed write the rest is dropped and the first error kept for `finish`.
    fn drain(&mut self) {
        if let (Some(sink), None) = (self.sink.as_mut(), &self.error)
            && let Err(error) = sink.write_all(&self.buf)
        {
            self.error = Some(error);
        }
        self.buf.clear();
    }

    /// The bytes of a memory sink (for a writer: what has not been passed on).
    pub fn into_bytes(self) -> Vec<u8> {
        self.buf
    }

    /// Passes the rest on. The first error of the writer, if it had one.
    pub fn finish(mut self) -> io::Result<()> {
        if self.sink.is_some() {
            self.drain();
        }
        self.error.map_or(Ok(()), Err)
    }
}
