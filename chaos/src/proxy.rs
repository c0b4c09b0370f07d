//! A TCP proxy that can be told to misbehave: to cut connections, to delay bytes, to hold them, to forget one half.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The most bytes that are passed on at once; delayed ones come in smaller pieces of any length.
const CHUNK: usize = 64 << 10;
/// See [`CHUNK`].
const DELAYED_CHUNK: usize = 16 << 10;
/// How long a client is left with half a connection, unless that is cut before.
const HALF: Duration = Duration::from_secs(120);
/// How long the far end may take to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// How bytes are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fine,
    /// Each piece waits for up to so long.
    Slow(Duration),
    /// Nothing is passed on, and nothing is closed: what comes waits.
    Still,
}

/// What connections listen to.
#[derive(Clone, Copy, Debug)]
struct Orders {
    weather: Weather,
    /// How often all connections were cut.
    cuts: u64,
    /// How often all connections lost their far half.
    halves: u64,
}

/// A proxy at work. It ends with this.
pub(crate) struct Proxy {
    port: u16,
    orders: watch::Sender<Orders>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Passes on to `target` whatever connects to `listener`; `seed` decides lengths and delays of pieces.
    pub(crate) fn start(listener: Listener, target: u16, seed: u64) -> io::Result<Proxy> {
        let port = listener.local_addr()?.port();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let (orders, listen) = watch::channel(Orders { weather: Weather::Fine, cuts: 0, halves: 0 });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        runtime.spawn(async move {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            loop {
                match listener.accept().await {
                    Ok((client, _)) => {
                        let dice = ChaCha8Rng::seed_from_u64(dice.random());
                        // A connection that fails is closed: its client tries again.
                        tokio::spawn(carry(client, target, listen.clone(), dice));
                    }
                    // Out of file descriptors, for one: that passes as connections end.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Proxy { port, orders, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, wherever they are in a message.
    pub(crate) fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Closes the far half of all connections and leaves their clients in the belief that all is well.
    pub(crate) fn halve(&self) {
        self.orders.send_modify(|orders| orders.halves += 1);
    }

    /// Passes bytes on in pieces that wait for up to `most` each.
    pub(crate) fn slow(&self, most: Duration) {
        self.orders.send_modify(|orders| orders.weather = Weather::Slow(most));
    }

    /// Passes nothing on and closes nothing.
    pub(crate) fn still(&self) {
        self.orders.send_modify(|orders| orders.weather = Weather::Still);
    }

    /// Passes everything on at once.
    pub(crate) fn fine(&self) {
        self.orders.send_modify(|orders| orders.weather = Weather::Fine);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn carry(client: TcpStream, target: SocketAddr, orders: watch::Receiver<Orders>, mut dice: ChaCha8Rng) {
    let born = *orders.borrow();
    let (mut cut, mut halved) = (orders.clone(), orders.clone());
    let (mut from_client, mut to_client) = client.into_split();
    let pass = async {
        let mut moving = orders.clone();
        // The sender lives as long as the runtime.
        let _ = moving.wait_for(|orders| orders.weather != Weather::Still).await;
        let Ok(Ok(server)) = tokio::time::timeout(CONNECT, TcpStream::connect(target)).await else { return };
        let (mut from_server, mut to_server) = server.into_split();
        let other = ChaCha8Rng::seed_from_u64(dice.random());
        // Either end that closes ends the whole.
        tokio::select! {
            _ = pump(&mut from_client, &mut to_server, orders.clone(), dice) => {}
            _ = pump(&mut from_server, &mut to_client, orders, other) => {}
        }
    };
    let half = tokio::select! {
        () = pass => false,
        _ = cut.wait_for(|orders| orders.cuts != born.cuts) => false,
        _ = halved.wait_for(|orders| orders.halves != born.halves) => true,
    };
    if half {
        tokio::select! {
            _ = cut.wait_for(|orders| orders.cuts != born.cuts) => {}
            () = tokio::time::sleep(HALF) => {}
        }
    }
}

async fn pump(
    from: &mut tcp::OwnedReadHalf,
    to: &mut tcp::OwnedWriteHalf,
    mut orders: watch::Receiver<Orders>,
    mut dice: ChaCha8Rng,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let weather = orders.borrow_and_update().weather;
        let most = if weather == Weather::Fine { CHUNK } else { dice.random_range(1..=DELAYED_CHUNK) };
        let read = from.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Ok(());
        }
        let weather = orders.borrow_and_update().weather;
        if let Weather::Slow(most) = weather {
            tokio::time::sleep(most.mul_f64(dice.random::<f64>())).await;
        }
        // Bytes that came before it was told to be still wait as well.
        let _ = orders.wait_for(|orders| orders.weather != Weather::Still).await;
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream;
    use std::thread;

    use super::*;

    /// What never takes so long, on any machine.
    const LONG: Duration = Duration::from_secs(30);

    fn any_port() -> Listener {
        Listener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")
    }

    /// A proxy before a server that sends back what it gets.
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
        client.set_read_timeout(Some(LONG)).expect("set");
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
        client.set_read_timeout(Some(LONG)).expect("set");
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
        proxy.slow(Duration::from_millis(2));
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
        proxy.still();
        client.write_all(b"held").expect("written");
        assert!(is_silent(&mut client));
        let mut late = connect(&proxy);
        late.write_all(b"late").expect("taken by the system");
        assert!(is_silent(&mut late));
        proxy.fine();
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
        proxy.halve();
        thread::sleep(Duration::from_millis(50));
        client.write_all(b"nobody hears this").expect("written");
        assert!(is_silent(&mut client));
        echo(&mut connect(&proxy), b"others are heard");
        proxy.cut();
        assert!(is_closed(&mut client));
    }
}
