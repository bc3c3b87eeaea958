//! Connections: TLS, HTTP/1.1 and HTTP/2, until told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Api, handle};

/// A client that says nothing for so long has gone.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests that are under way have to end.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until the API is stopping, then ends what is under way.
pub(crate) async fn serve(api: Arc<Api>, listener: TcpListener) {
    let acceptor = TlsAcceptor::from(Arc::clone(&api.credentials.server));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = api.stopping.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(Arc::clone(&api), acceptor.clone(), stream))),
                Err(error) => {
                    tracing::warn!("failed to accept a connection: {error}");
                    // Too many open files: others must be given time to close.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(api: Arc<Api>, acceptor: TlsAcceptor, stream: TcpStream) {
    // Small answers and events must not wait for more.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!("a client failed to begin TLS: {error}"),
        Err(_) => return,
    };
    let stopping = api.stopping.clone();
    let service = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(handle(api, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).title_case_headers(true);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1000);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => if let Err(error) = ended {
            tracing::debug!("a connection ended: {error}");
        },
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
