//! What servers, proxies and clients of a test run on, whatever the test itself runs on.

use tokio::runtime::{Builder, Runtime};

/// A thread of its own; ends when dropped.
pub struct Background(Option<Runtime>);

impl Background {
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self(Some(runtime.unwrap()))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is there until it is dropped")
    }

    /// Lets `future` run by itself.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(future);
    }

    /// Waits for `future`; also from within another runtime.
    pub fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        let runtime = self.runtime();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(future));
            waiting
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Whatever holds a port must be gone then; it may not be waited for within a runtime.
            let ended = std::thread::spawn(move || {
                runtime.shutdown_timeout(std::time::Duration::from_secs(10));
            });
            let _ = ended.join();
        }
    }
}
