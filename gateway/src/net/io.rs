//! A socket, plain or encrypted, from either side.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One type for all connections, so that what carries requests needs no type parameter.
pub enum Io {
    Tcp(TcpStream),
    /// We are the server.
    Accepted(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// We are the client.
    Connected(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Io {
    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Io::Tcp(stream) => stream,
            Io::Accepted(stream) => stream.get_ref().0,
            Io::Connected(stream) => stream.get_ref().0,
        }
    }

    /// Whether an idle connection has something to read, which can only be its end or a breach of protocol.
    /// Asks the reactor, not the kernel.
    pub fn is_stale(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.tcp().poll_read_ready(&mut context).is_ready()
    }
}

impl AsyncRead for Io {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        match self.get_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Accepted(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Connected(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match self.get_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Accepted(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Connected(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match self.get_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Io::Accepted(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Io::Connected(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Io::Accepted(stream) => Pin::new(stream).poll_flush(context),
            Io::Connected(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.get_mut() {
            Io::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Accepted(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Connected(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
