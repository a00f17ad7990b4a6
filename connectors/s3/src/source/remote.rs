//! The bucket as a thread uses it: calls that wait, until they are done or the task is stopped.

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Control;
use super::content::{Halt, Trouble};
use crate::client::{Body, Client, Listed, Page};

/// A client, and what its calls wait on.
#[derive(Clone)]
pub struct Remote {
    client: Client,
    runtime: Handle,
    control: watch::Receiver<Control>,
}

type Arrived = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

impl Remote {
    pub fn new(client: Client, runtime: Handle, control: watch::Receiver<Control>) -> Self {
        Self {
            client,
            runtime,
            control,
        }
    }

    /// Waits for what `call` gives; a stop ends it.
    fn wait<T>(&self, call: impl Future<Output = T>) -> Result<T, Halt> {
        let mut control = self.control.clone();
        self.runtime.block_on(async move {
            tokio::select! {
                biased;
                done = call => Ok(done),
                _ = control.wait_for(|control| control.stop) => Err(Halt::Stopped),
            }
        })
    }

    pub fn list(&self, prefix: &str, after: &str) -> Result<Page, Halt> {
        Ok(self.wait(self.client.list(prefix, after))??)
    }

    pub fn get(&self, object: &Listed, from: u64) -> Result<Body, Trouble> {
        Ok(self.wait(self.client.get(object, from))??)
    }

    pub fn next(&self, body: &mut Body) -> Result<Option<Arrived>, Halt> {
        self.wait(body.next())
    }

    pub fn look_at(&self, key: &str) -> Result<Option<Listed>, Halt> {
        Ok(self.wait(self.client.look_at(key))??)
    }

    /// The client and how to wait for it without an end: for what a stop should not cut off.
    pub fn unstopped(&self) -> (&Client, &Handle) {
        (&self.client, &self.runtime)
    }
}
