use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn server() -> TcpListener {
    TcpListener::bind(HERE).await.unwrap()
}

fn forwarder(targets: &Arc<Targets>) -> Forwarder {
    let room = Arc::new(Semaphore::new(16));
    Forwarder::listen(HERE, Arc::clone(targets), room, CancellationToken::new()).unwrap()
}

fn to(addresses: &[SocketAddr]) -> Arc<Targets> {
    let targets = Arc::new(Targets::default());
    targets.set(addresses.to_vec(), None);
    targets
}

#[tokio::test]
async fn half_closed_directions_are_passed_on() {
    let server = server().await;
    let forwarder = forwarder(&to(&[server.local_addr().unwrap()]));
    let mut client = TcpStream::connect(forwarder.address).await.unwrap();
    let (mut inside, _) = server.accept().await.unwrap();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    inside.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    inside.write_all(b"answer").await.unwrap();
    drop(inside);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_reset_is_passed_on_as_one() {
    let server = server().await;
    let forwarder = forwarder(&to(&[server.local_addr().unwrap()]));
    let mut client = TcpStream::connect(forwarder.address).await.unwrap();
    let (inside, _) = server.accept().await.unwrap();
    inside.set_zero_linger().unwrap();
    drop(inside);
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn nobody_behind_it_is_a_reset() {
    let forwarder = forwarder(&to(&[]));
    let mut client = TcpStream::connect(forwarder.address).await.unwrap();
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_refuses_is_passed_over() {
    let server = server().await;
    let closed = TcpListener::bind(HERE).await.unwrap().local_addr().unwrap();
    let forwarder = forwarder(&to(&[closed, server.local_addr().unwrap()]));
    for _ in 0..4 {
        let _client = TcpStream::connect(forwarder.address).await.unwrap();
        server.accept().await.unwrap();
    }
}

#[tokio::test]
async fn connections_outlive_their_forwarder_and_their_target() {
    let server = server().await;
    let targets = to(&[server.local_addr().unwrap()]);
    let forwarder = forwarder(&targets);
    let mut client = TcpStream::connect(forwarder.address).await.unwrap();
    let (mut inside, _) = server.accept().await.unwrap();
    targets.set(Vec::new(), None);
    drop(forwarder);
    inside.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_pod_sees_the_clients_address() {
    let server = server().await;
    let forwarder = forwarder(&to(&[server.local_addr().unwrap()]));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.77.77.77:0".parse().unwrap()).unwrap();
    let _client = socket.connect(forwarder.address).await.unwrap();
    let (_inside, seen) = server.accept().await.unwrap();
    assert_eq!(seen.ip().to_string(), "127.77.77.77");
}

#[test]
fn in_turn_or_with_affinity_to_the_same() {
    let address = |port: u16| SocketAddr::new(HERE.ip(), port);
    let (one, two) = (address(1), address(2));
    let targets = to(&[one, two]);
    let first = |client: &str| targets.order(client.parse().unwrap())[0];
    assert_eq!([first("127.0.0.1"), first("127.0.0.1"), first("127.0.0.1")], [one, two, one]);
    targets.set(vec![one, two], Some(Duration::from_mins(1)));
    targets.remember("127.0.0.1".parse().unwrap(), one);
    assert_eq!([first("127.0.0.1"), first("127.0.0.1")], [one, one]);
    targets.set(vec![two], Some(Duration::from_mins(1)));
    assert_eq!(first("127.0.0.1"), two, "its own has gone");
}
