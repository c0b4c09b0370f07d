//! A TCP proxy that cuts, delays, stalls or half closes connections on demand.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How many bytes are forwarded at once.
const CHUNK_BYTES_MAX: usize = 64 << 10;
/// The same under a delay: smaller chunks of random length.
const DELAYED_CHUNK_BYTES_MAX: usize = 16 << 10;
/// How long a half-closed connection stays open to its client, unless it is cut before.
const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the broker may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// How bytes are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NetworkCondition {
    Normal,
    /// Each chunk waits for up to this long.
    Delayed(Duration),
    /// No byte is forwarded and no connection is closed: bytes wait.
    Stalled,
}

/// The state that all connections follow.
#[derive(Clone, Copy, Debug)]
struct ProxyState {
    condition: NetworkCondition,
    /// How many times all connections were cut.
    cuts: u64,
    /// How many times all connections were half closed.
    half_closes: u64,
}

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    port: u16,
    state: watch::Sender<ProxyState>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Forwards connections of `listener` to the port `target`; `seed` decides lengths and delays of chunks.
    pub(crate) fn start(listener: Listener, target: u16, seed: u64) -> io::Result<Proxy> {
        let port = listener.local_addr()?.port();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let (state, listen) =
            watch::channel(ProxyState { condition: NetworkCondition::Normal, cuts: 0, half_closes: 0 });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        runtime.spawn(async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            loop {
                match listener.accept().await {
                    Ok((client, _)) => {
                        let rng = ChaCha8Rng::seed_from_u64(rng.random());
                        // A connection that fails is closed; its client connects again.
                        tokio::spawn(relay(client, target, listen.clone(), rng));
                    }
                    // For example out of file descriptors, which passes as connections end.
                    Err(_) => tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await,
                }
            }
        });
        Ok(Proxy { port, state, runtime: Some(runtime) })
    }

    /// The port of the listener.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, in the middle of messages too.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Closes the broker's side of all connections and leaves the client's side open.
    pub(crate) fn half_close(&self) {
        self.state.send_modify(|state| state.half_closes += 1);
    }

    /// Forwards bytes in chunks that each wait for up to `most`.
    pub(crate) fn delay(&self, most: Duration) {
        self.state.send_modify(|state| state.condition = NetworkCondition::Delayed(most));
    }

    /// Forwards nothing and closes nothing.
    pub(crate) fn stall(&self) {
        self.state.send_modify(|state| state.condition = NetworkCondition::Stalled);
    }

    /// Forwards everything at once again.
    pub(crate) fn restore(&self) {
        self.state.send_modify(|state| state.condition = NetworkCondition::Normal);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn relay(client: TcpStream, target: SocketAddr, state: watch::Receiver<ProxyState>, mut rng: ChaCha8Rng) {
    let born = *state.borrow();
    let (mut cut, mut halved) = (state.clone(), state.clone());
    let (mut from_client, mut to_client) = client.into_split();
    let pass = async {
        let mut moving = state.clone();
        // An error means that the sender is gone, which lives as long as the runtime.
        let _ = moving.wait_for(|state| state.condition != NetworkCondition::Stalled).await;
        let Ok(Ok(server)) = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await else { return };
        let (mut from_server, mut to_server) = server.into_split();
        let other = ChaCha8Rng::seed_from_u64(rng.random());
        // Where either side closes, both are closed.
        tokio::select! {
            _ = forward(&mut from_client, &mut to_server, state.clone(), rng) => {}
            _ = forward(&mut from_server, &mut to_client, state, other) => {}
        }
    };
    let half = tokio::select! {
        () = pass => false,
        _ = cut.wait_for(|state| state.cuts != born.cuts) => false,
        _ = halved.wait_for(|state| state.half_closes != born.half_closes) => true,
    };
    if half {
        tokio::select! {
            _ = cut.wait_for(|state| state.cuts != born.cuts) => {}
            () = tokio::time::sleep(HALF_OPEN_TIMEOUT) => {}
        }
    }
}

async fn forward(
    from: &mut tcp::OwnedReadHalf,
    to: &mut tcp::OwnedWriteHalf,
    mut state: watch::Receiver<ProxyState>,
    mut rng: ChaCha8Rng,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    loop {
        let condition = state.borrow_and_update().condition;
        let most = if condition == NetworkCondition::Normal {
            CHUNK_BYTES_MAX
        } else {
            rng.random_range(1..=DELAYED_CHUNK_BYTES_MAX)
        };
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Ok(());
        }
        let condition = state.borrow_and_update().condition;
        if let NetworkCondition::Delayed(most) = condition {
            tokio::time::sleep(most.mul_f64(rng.random::<f64>())).await;
        }
        // Bytes that were read before the stall wait as well.
        let _ = state.wait_for(|state| state.condition != NetworkCondition::Stalled).await;
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream;
    use std::thread;

    use super::*;

    /// How long a read may take on any machine.
    const READ_TIMEOUT: Duration = Duration::from_secs(30);

    fn any_port() -> Listener {
        Listener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
    }

    /// A proxy before an echo server.
    fn proxy() -> Proxy {
        let server = any_port();
        let port = server.local_addr().expect("bound").port();
        thread::spawn(move || {
            for client in server.incoming() {
                let mut client = client.expect("a client");
                thread::spawn(move || {
                    let mut back = client.try_clone().expect("a second handle");
                    let _ = io::copy(&mut client, &mut back);
                });
            }
        });
        Proxy::start(any_port(), port, 1).expect("starts")
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("connects");
        client.set_read_timeout(Some(READ_TIMEOUT)).expect("set");
        client
    }

    fn echo(client: &mut TcpStream, bytes: &[u8]) {
        client.write_all(bytes).expect("written");
        let mut back = vec![0; bytes.len()];
        client.read_exact(&mut back).expect("read");
        assert_eq!(back, bytes);
    }

    /// Whether nothing comes for a little while.
    fn is_silent(client: &mut TcpStream) -> bool {
        client.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        let read = client.read(&mut [0; 1]);
        client.set_read_timeout(Some(READ_TIMEOUT)).expect("set");
        read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Whether the connection is closed.
    fn is_closed(client: &mut TcpStream) -> bool {
        match client.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    #[test]
    fn bytes_pass_unchanged_whether_delayed_or_not() {
        let proxy = proxy();
        let mut client = connect(&proxy);
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
        echo(&mut client, b"hello");
        proxy.delay(Duration::from_millis(2));
        let mut copy = client.try_clone().expect("a second handle");
        let sent = bytes.clone();
        let writer = thread::spawn(move || copy.write_all(&sent).expect("written"));
        let mut back = vec![0; bytes.len()];
        client.read_exact(&mut back).expect("read");
        writer.join().expect("a writer");
        assert!(back == bytes);
    }

    #[test]
    fn a_cut_closes_the_connections_that_are_there_and_no_later_ones() {
        let proxy = proxy();
        let (mut first, mut second) = (connect(&proxy), connect(&proxy));
        echo(&mut first, b"one");
        echo(&mut second, b"two");
        proxy.cut();
        assert!(is_closed(&mut first) && is_closed(&mut second));
        echo(&mut connect(&proxy), b"three");
    }

    #[test]
    fn what_is_held_comes_once_it_is_fine_again() {
        let proxy = proxy();
        let mut client = connect(&proxy);
        echo(&mut client, b"before");
        proxy.stall();
        client.write_all(b"held").expect("written");
        assert!(is_silent(&mut client));
        let mut late = connect(&proxy);
        late.write_all(b"late").expect("taken by the system");
        assert!(is_silent(&mut late));
        proxy.restore();
        for (client, bytes) in [(&mut client, b"held"), (&mut late, b"late")] {
            let mut back = [0; 4];
            client.read_exact(&mut back).expect("read");
            assert_eq!(&back, bytes);
        }
    }

    #[test]
    fn a_client_with_half_a_connection_hears_nothing_until_it_is_cut() {
        let proxy = proxy();
        let mut client = connect(&proxy);
        echo(&mut client, b"before");
        proxy.half_close();
        thread::sleep(Duration::from_millis(50));
        client.write_all(b"nobody hears this").expect("written");
        assert!(is_silent(&mut client));
        echo(&mut connect(&proxy), b"others are heard");
        proxy.cut();
        assert!(is_closed(&mut client));
    }
}
