//! Counts the bytes of all streams, under the encryption and over the multiplexer: what both transports have in common.
//! What they add themselves (headers, acknowledgements, handshakes) is a few in a hundred and not in it.

use super::counts::Traffic;
use futures_util::io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// A connection whose streams are counted.
pub(crate) struct Metered {
    inner: StreamMuxerBox,
    traffic: Arc<Traffic>,
}

impl Metered {
    pub(crate) fn new(inner: StreamMuxerBox, traffic: Arc<Traffic>) -> Self {
        Metered { inner, traffic }
    }

    fn counted(&self, inner: SubstreamBox) -> Counted {
        Counted {
            inner,
            traffic: Arc::clone(&self.traffic),
        }
    }
}

impl StreamMuxer for Metered {
    type Substream = Counted;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Counted>> {
        let stream = Pin::new(&mut self.inner).poll_inbound(cx);
        stream.map_ok(|stream| self.counted(stream))
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Counted>> {
        let stream = Pin::new(&mut self.inner).poll_outbound(cx);
        stream.map_ok(|stream| self.counted(stream))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A stream whose bytes are counted.
pub(crate) struct Counted {
    inner: SubstreamBox,
    traffic: Arc<Traffic>,
}

impl Counted {
    fn received(&self, bytes: usize) -> usize {
        self.traffic.received.fetch_add(bytes as u64, Ordering::Relaxed);
        bytes
    }

    fn sent(&self, bytes: usize) -> usize {
        self.traffic.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        bytes
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, out);
        read.map_ok(|bytes| self.received(bytes))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.inner).poll_read_vectored(cx, out);
        read.map_ok(|bytes| self.received(bytes))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        written.map_ok(|bytes| self.sent(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        written.map_ok(|bytes| self.sent(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
