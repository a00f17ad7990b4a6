//! The conformance kit for sources, on each server there is.

use towpath_rig::Store;
use towpath_sdk::testing::{SourceSubject, check_source};
use towpath_sdk::{Source, async_trait};

use super::source;

struct Subject {
    store: Store,
    objects: usize,
}

#[async_trait]
impl SourceSubject for Subject {
    fn source(&self) -> Box<dyn Source> {
        source(&self.store.endpoint(), &[])
    }

    async fn produce(&mut self, values: &[Vec<u8>]) {
        let mut content = values.join(&b'\n');
        content.push(b'\n');
        if !values.is_empty() {
            self.store.put(&format!("{:06}", self.objects), content);
            self.objects += 1;
        }
    }

    async fn set_down(&mut self, down: bool) -> bool {
        match down {
            true => self.store.stop(),
            false => self.store.start(),
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_kit() {
    for name in Store::names() {
        check_source(|| Subject {
            store: Store::named(name),
            objects: 0,
        })
        .await;
    }
}
