//! Starts the listeners of a process and ends them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, watch};

use super::bind_help::bind_help;
use super::bounds::{self, Lifetimes};
use super::connections::serve;
use super::events::Events;
use super::fresh::Fresh;
use super::guard::Guard;
use super::listeners::{Listener, Problem};
use super::process::Process;
use super::routes::{Answers, routes};

/// The listeners of a process, on a thread of their own. They end when this is dropped.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Begins to listen. What comes from outside is answered by one thread, so the pipelines share the other cores whatever is
    /// asked. Nothing is started where there are no listeners.
    ///
    /// # Errors
    /// Where an address is in use or is none of this machine, with the pipelines that ask for it.
    pub fn start(listeners: Vec<Listener>) -> Result<Server, Problem> {
        let (stop, stopped) = watch::channel(false);
        if listeners.is_empty() {
            return Ok(Server { stop, thread: None, addresses: Vec::new() });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Problem {
            message: format!("the HTTP listener does not start: {error}"),
            help: "the system has no room for another thread or file: raise `ulimit -n` or `ulimit -u`".to_owned(),
        })?;
        let mut bound = Vec::new();
        for listener in listeners {
            let refused = |error| refused(&listener, &error);
            let socket = TcpListener::bind(listener.address).map_err(refused)?;
            socket.set_nonblocking(true).map_err(refused)?;
            let _entered = runtime.enter();
            bound.push((tokio::net::TcpListener::from_std(socket).map_err(refused)?, listener));
        }
        let addresses = bound.iter().filter_map(|(socket, _)| socket.local_addr().ok()).collect();
        let work = move || {
            runtime.block_on(async {
                let mut all = tokio::task::JoinSet::new();
                for (socket, listener) in bound {
                    all.spawn(answering(socket, listener, stopped.clone()));
                }
                while all.join_next().await.is_some() {}
            });
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(work).map_err(|error| Problem {
            message: format!("the HTTP listener does not start: {error}"),
            help: "the system has no room for another thread: raise `ulimit -u`".to_owned(),
        })?;
        Ok(Server { stop, thread: Some(thread), addresses })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

async fn answering(socket: tokio::net::TcpListener, listener: Listener, stopped: watch::Receiver<bool>) {
    let (connections, streams) = bounds::connections();
    let guard = Guard::new(listener.address, listener.token.as_deref());
    let process = Arc::new(Process::new(listener.monitors));
    let answers = Answers {
        events: Arc::new(Events::new(Arc::clone(&process), stopped.clone())),
        process,
        streams: Arc::new(Semaphore::new(streams)),
        text: Fresh::default(),
        open_metrics: Fresh::default(),
        status: Fresh::default(),
    };
    serve(socket, routes(Arc::new(answers), guard), connections, Lifetimes::default(), stopped).await;
}

fn refused(listener: &Listener, error: &std::io::Error) -> Problem {
    let names: Vec<String> =
        listener.monitors.iter().map(|monitor| format!("`{}`", monitor.monitored().about.name)).collect();
    Problem {
        message: format!("{} cannot be listened on, for {}: {error}", listener.address, names.join(", ")),
        help: bind_help(listener.address, error),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
