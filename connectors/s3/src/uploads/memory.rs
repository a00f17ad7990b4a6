//! A store in memory that fails when and how a test says.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Who called is no more: he never hears of it. It was not done, it was, or it will be before one
    /// of the next calls.
    Orphaned(Orphan),
}

/// When a call is done whose caller is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orphan {
    Never,
    Before,
    Later,
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

/// What a call does that arrives later.
type Late = Box<dyn FnOnce(&mut Inner) + Send>;

/// One bucket.
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    /// By id.
    uploads: BTreeMap<String, Open>,
    /// The ids of those that became objects.
    completed: BTreeSet<String>,
    created: u64,
    calls: Vec<Call>,
    fates: Option<Fates>,
    /// Calls of who is no more, that are still on their way.
    late: Vec<Late>,
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

    /// Takes an object away.
    pub(crate) fn remove(&self, key: &str) {
        self.lock().objects.remove(key);
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
    async fn call<T: 'static>(
        &self,
        call: Call,
        key: &str,
        work: impl FnOnce(&mut Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        tokio::task::yield_now().await;
        let lost = || Error::transient(format!("{call:?}"), key).because("no answer");
        let answer = {
            let mut inner = self.lock();
            // Every other call lets one arrive that was late.
            if inner.calls.len().is_multiple_of(2) && !inner.late.is_empty() {
                let late = inner.late.remove(0);
                late(&mut inner);
            }
            inner.calls.push(call);
            match inner.fates.as_mut().map_or(Fate::Done, |fates| fates(call)) {
                Fate::Done => Some(work(&mut inner)),
                Fate::Refused => Some(Err(lost())),
                Fate::Unanswered => Some(work(&mut inner).and_then(|_| Err(lost()))),
                Fate::Orphaned(Orphan::Never) => {
                    if call == Call::Complete {
                        inner.lose_parts(key);
                    }
                    None
                }
                Fate::Orphaned(Orphan::Before) => work(&mut inner).map_or(None, |_| None),
                Fate::Orphaned(Orphan::Later) => {
                    inner.late.push(Box::new(|inner| drop(work(inner))));
                    None
                }
            }
        };
        match answer {
            Some(answer) => {
                tokio::task::yield_now().await;
                answer
            }
            None => std::future::pending().await,
        }
    }
}

impl Inner {
    /// What is left of the parts of `key` when a call to complete it is cut off in the middle.
    fn lose_parts(&mut self, key: &str) {
        let of_key = |open: &&mut Open| open.key == key;
        for open in self.uploads.values_mut().filter(of_key) {
            open.parts.pop_first();
        }
    }

    fn complete(&mut self, upload: &Upload, parts: &[Part]) -> Completed {
        if self.completed.contains(&upload.id) && self.calls.len().is_multiple_of(3) {
            return Completed::Occupied;
        }
        if !self.uploads.contains_key(&upload.id) {
            return Completed::NoSuchUpload;
        }
        if self.objects.contains_key(&upload.key) {
            return Completed::Occupied;
        }
        let is_lost = |part: &Part| !self.uploads[&upload.id].parts.contains_key(&part.number);
        if parts.iter().any(is_lost) {
            return Completed::Broken;
        }
        let Some(open) = self.uploads.remove(&upload.id) else {
            return Completed::NoSuchUpload;
        };
        let numbers: Vec<u32> = parts.iter().map(|part| part.number).collect();
        assert_eq!(numbers, (1..=parts.len() as u32).collect::<Vec<_>>());
        assert!(!parts.is_empty(), "an object of no part");
        let content: Vec<_> = parts
            .iter()
            .map(|part| open.parts[&part.number].clone())
            .collect();
        let object = Object {
            content: content.concat().into(),
            mark: Some(open.mark),
        };
        self.objects.insert(open.key, object);
        self.completed.insert(upload.id.clone());
        Completed::Done
    }
}

#[async_trait]
impl Uploads for MemoryStore {
    async fn create(&self, key: &str, mark: &str) -> Result<String> {
        let open = Open {
            key: key.to_owned(),
            mark: mark.to_owned(),
            parts: BTreeMap::new(),
        };
        let work = |inner: &mut Inner| {
            inner.created += 1;
            let id = format!("upload-{:06}", inner.created);
            inner.uploads.insert(id.clone(), open);
            Ok(id)
        };
        self.call(Call::Create, key, work).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, content: Bytes) -> Result<Part> {
        let Upload { key, id } = upload.clone();
        let work = move |inner: &mut Inner| {
            let open = inner.uploads.get_mut(&id);
            let open = open
                .ok_or_else(|| Error::transient("upload a part of", key).because("NoSuchUpload"))?;
            let etag = format!("{number}:{}", content.len());
            open.parts.insert(number, content);
            Ok(Part {
                number,
                etag,
                checksum: None,
            })
        };
        self.call(Call::UploadPart, &upload.key, work).await
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Completed> {
        let (own, parts) = (upload.clone(), parts.to_vec());
        let work = move |inner: &mut Inner| Ok(inner.complete(&own, &parts));
        self.call(Call::Complete, &upload.key, work).await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let id = upload.id.clone();
        let work = move |inner: &mut Inner| {
            inner.uploads.remove(&id);
            Ok(())
        };
        self.call(Call::Abort, &upload.key, work).await
    }

    async fn open_uploads(&self, key: &str) -> Result<Vec<String>> {
        let own = key.to_owned();
        let work = move |inner: &mut Inner| {
            let of_key = inner.uploads.iter().filter(|(_, open)| open.key == own);
            Ok(of_key.map(|(id, _)| id.clone()).collect())
        };
        self.call(Call::OpenUploads, key, work).await
    }

    async fn look_up(&self, key: &str) -> Result<Found> {
        let own = key.to_owned();
        let work = move |inner: &mut Inner| {
            let object = inner.objects.get(&own);
            Ok(object.map_or(Found::Nothing, |object| Found::Object {
                mark: object.mark.clone(),
            }))
        };
        self.call(Call::LookUp, key, work).await
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

    // The answer is lost: asked again, it does not say why it cannot; the mark does.
    store.set_fates(Some(Box::new(|_| Fate::Unanswered)));
    let parts = [part];
    store.complete(&upload, &parts).await.unwrap_err();
    store.set_fates(None);
    let again = store.complete(&upload, &parts).await.unwrap();
    assert_ne!(again, Completed::Done);
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
