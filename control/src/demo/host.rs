//! A host of the demonstration: a thread in a network namespace of its own.
//!
//! Sockets and processes that are made on the thread are in its namespace; sockets stay there wherever they are used.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, anyhow};
use gotthard_dataplane::netns;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A thread in a network namespace of its own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Host {
    jobs: Sender<Job>,
    namespace: File,
}

impl Host {
    /// Starts a host. Its jobs may use the current runtime.
    pub(super) fn start(name: &str) -> anyhow::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (ready, entered) = mpsc::channel();
        let runtime = Handle::current();
        let life = move || {
            let _inside = runtime.enter();
            live(&ready, &inbox);
        };
        thread::Builder::new().name(name.to_owned()).spawn(life)?;
        let namespace = entered.recv().context("the host's thread is gone")?;
        Ok(Self {
            jobs,
            namespace: namespace.with_context(|| format!("a network namespace for the {name}"))?,
        })
    }

    /// Does something on the host, and waits for its end.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (sender, done) = oneshot::channel();
        let job = move || drop(sender.send(job()));
        self.jobs.send(Box::new(job)).map_err(|_| anyhow!("the host's thread is gone"))?;
        done.await.context("a job did not end on its host")
    }

    /// A descriptor of the namespace, valid as long as the host.
    pub(super) fn namespace(&self) -> RawFd {
        self.namespace.as_raw_fd()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Enters the namespace, says so or why not, and does jobs until nobody can ask for more.
fn live(ready: &Sender<io::Result<File>>, inbox: &Receiver<Job>) {
    let entered = netns::enter_new().and_then(|()| File::open("/proc/thread-self/ns/net"));
    let inside = entered.is_ok();
    // Where nobody waits for the answer there will be no jobs either.
    drop(ready.send(entered));
    if inside {
        for job in inbox {
            job();
        }
    }
}
