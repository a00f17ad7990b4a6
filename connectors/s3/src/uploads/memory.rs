//! A store in memory that fails when and how a test says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use towpath_sdk::{Error, Result, async_trait};

use super::{Completed, Found, Part, Upload, Uploads};

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is done and answered.
    Done,
    /// It fails before anything is done.
    Refused,
    /// It is done, and the answer is lost.
    Unanswered,
}

/// The calls of [`Uploads`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    UploadPart,
    Complete,
    Abort,
    OpenUploads,
    LookUp,
}

/// Decides the fate of each call; called in the order of the calls.
pub(crate) type Fates = Box<dyn FnMut(Call) -> Fate + Send>;

/// One bucket.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    /// By id.
    uploads: BTreeMap<String, Open>,
    created: u64,
    calls: Vec<Call>,
    fates: Option<Fates>,
}

/// An object that is there.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) content: Bytes,
    pub(crate) mark: Option<String>,
}

struct Open {
    key: String,
    mark: String,
    parts: BTreeMap<u32, Bytes>,
}

impl MemoryStore {
    /// From now on `fates` decides; without one all is done.
    pub(crate) fn set_fates(&self, fates: Option<Fates>) {
        self.lock().fates = fates;
    }

    /// Puts an object there that nobody's upload has made.
    pub(crate) fn put_foreign(&self, key: &str, content: &'static [u8]) {
        let content = Bytes::from_static(content);
        let object = Object {
            content,
            mark: None,
        };
        self.lock().objects.insert(key.to_owned(), object);
    }

    /// Every object by its key.
    pub(crate) fn objects(&self) -> BTreeMap<String, Object> {
        self.lock().objects.clone()
    }

    /// The keys of the uploads that have not ended.
    pub(crate) fn open_keys(&self) -> Vec<String> {
        let inner = self.lock();
        inner
            .uploads
            .values()
            .map(|open| open.key.clone())
            .collect()
    }

    /// Ends an upload from outside, as a rule of the bucket for old ones does.
    pub(crate) fn expire_uploads(&self) {
        self.lock().uploads.clear();
    }

    /// The calls since this was asked last.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: what it does, and what becomes of it. Others get their turn before and after.
    async fn call<T>(
        &self,
        call: Call,
        key: &str,
        work: impl FnOnce(&mut Inner) -> Result<T>,
    ) -> Result<T> {
        tokio::task::yield_now().await;
        let answer = {
            let mut inner = self.lock();
            inner.calls.push(call);
            let fate = inner.fates.as_mut().map_or(Fate::Done, |fates| fates(call));
            let lost = || Error::transient(format!("{call:?}"), key).because("no answer");
            match fate {
                Fate::Done => work(&mut inner),
                Fate::Refused => Err(lost()),
                Fate::Unanswered => work(&mut inner).and_then(|_| Err(lost())),
            }
        };
        tokio::task::yield_now().await;
        answer
    }
}

#[async_trait]
impl Uploads for MemoryStore {
    async fn create(&self, key: &str, mark: &str) -> Result<String> {
        self.call(Call::Create, key, |inner| {
            inner.created += 1;
            let id = format!("upload-{:06}", inner.created);
            let open = Open {
                key: key.to_owned(),
                mark: mark.to_owned(),
                parts: BTreeMap::new(),
            };
            inner.uploads.insert(id.clone(), open);
            Ok(id)
        })
        .await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, content: Bytes) -> Result<Part> {
        self.call(Call::UploadPart, &upload.key, |inner| {
            let open = inner.uploads.get_mut(&upload.id).ok_or_else(|| {
                Error::transient("upload a part of", &upload.key).because("NoSuchUpload")
            })?;
            let etag = format!("{number}:{}", content.len());
            open.parts.insert(number, content);
            Ok(Part {
                number,
                etag,
                checksum: None,
            })
        })
        .await
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Completed> {
        self.call(Call::Complete, &upload.key, |inner| {
            if !inner.uploads.contains_key(&upload.id) {
                return Ok(Completed::NoSuchUpload);
            }
            if inner.objects.contains_key(&upload.key) {
                return Ok(Completed::Occupied);
            }
            let Some(open) = inner.uploads.remove(&upload.id) else {
                return Ok(Completed::NoSuchUpload);
            };
            let numbers: Vec<u32> = parts.iter().map(|part| part.number).collect();
            assert_eq!(numbers, (1..=parts.len() as u32).collect::<Vec<_>>());
            assert!(!parts.is_empty(), "an object of no part");
            let mut content = Vec::new();
            for part in parts {
                content.extend_from_slice(&open.parts[&part.number]);
            }
            let object = Object {
                content: content.into(),
                mark: Some(open.mark),
            };
            inner.objects.insert(open.key, object);
            Ok(Completed::Done)
        })
        .await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.call(Call::Abort, &upload.key, |inner| {
            inner.uploads.remove(&upload.id);
            Ok(())
        })
        .await
    }

    async fn open_uploads(&self, key: &str) -> Result<Vec<String>> {
        self.call(Call::OpenUploads, key, |inner| {
            let of_key = inner.uploads.iter().filter(|(_, open)| open.key == key);
            Ok(of_key.map(|(id, _)| id.clone()).collect())
        })
        .await
    }

    async fn look_up(&self, key: &str) -> Result<Found> {
        self.call(Call::LookUp, key, |inner| {
            let object = inner.objects.get(key);
            Ok(object.map_or(Found::Nothing, |object| Found::Object {
                mark: object.mark.clone(),
            }))
        })
        .await
    }
}

#[tokio::test]
async fn an_object_comes_into_being_in_one_step() {
    let store = MemoryStore::default();
    let id = store.create("a", "mine").await.unwrap();
    let upload = Upload {
        key: "a".to_owned(),
        id,
    };
    let part = store.upload_part(&upload, 1, "x".into()).await.unwrap();
    assert_eq!(store.look_up("a").await.unwrap(), Found::Nothing);
    let open = store.open_uploads("a").await.unwrap();
    assert_eq!(open, std::slice::from_ref(&upload.id));

    store.set_fates(Some(Box::new(|_| Fate::Refused)));
    store
        .complete(&upload, std::slice::from_ref(&part))
        .await
        .unwrap_err();
    assert!(store.objects().is_empty());

    // The answer is lost: asked again, it says that there is no such upload, and the mark tells why.
    store.set_fates(Some(Box::new(|_| Fate::Unanswered)));
    let parts = [part];
    store.complete(&upload, &parts).await.unwrap_err();
    store.set_fates(None);
    let again = store.complete(&upload, &parts).await.unwrap();
    assert_eq!(again, Completed::NoSuchUpload);
    let mark = Some("mine".to_owned());
    assert_eq!(store.look_up("a").await.unwrap(), Found::Object { mark });
    assert_eq!(store.objects()["a"].content, "x");
    assert!(store.open_keys().is_empty());

    // The name is taken.
    let id = store.create("a", "another").await.unwrap();
    let upload = Upload { id, ..upload };
    let occupied = store.complete(&upload, &parts).await.unwrap();
    assert_eq!(occupied, Completed::Occupied);
    store.abort(&upload).await.unwrap();
    store.put_foreign("b", b"y");
    let foreign = Found::Object { mark: None };
    assert_eq!(store.look_up("b").await.unwrap(), foreign);
    assert!(store.take_calls().ends_with(&[Call::Abort, Call::LookUp]));
    store.expire_uploads();
}
