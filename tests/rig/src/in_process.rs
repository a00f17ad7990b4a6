//! `s3s-fs` as a server in this process, with what it lacks and the connector needs: `If-Match` of
//! GetObject, ETags in listings, tags, a list of uploads, and `NoSuchUpload`.
//!
//! A call that has come is done to its end, also when whoever made it is gone; one call ends an upload
//! at a time. So an upload ends once. `stop` leaves calls where they are, as the end of a process
//! does, and the uploads that are open are those that the disk says: after it one may be gone whose
//! object was not made.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Incoming;
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::background::Background;
use crate::store::{ACCESS_KEY, SECRET_KEY};

/// The server; what it knows besides its files survives a restart, as they do.
#[derive(Default)]
pub struct InProcess {
    tags: Arc<Tags>,
    running: Option<Background>,
}

/// By key; `s3s-fs` has none.
type Tags = Mutex<BTreeMap<String, TagSet>>;

impl InProcess {
    /// Listens on `port` of this machine, over `folder`.
    pub fn start(&mut self, folder: &Path, port: u16) {
        let files = Files {
            inner: FileSystem::new(folder).unwrap(),
            folder: folder.to_owned(),
            ending: tokio::sync::Mutex::default(),
            tags: self.tags.clone(),
        };
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let background = Background::new();
        let listener = background.wait(TcpListener::bind(("127.0.0.1", port)));
        background.spawn(accept(listener.unwrap(), builder.build()));
        self.running = Some(background);
    }

    /// Ends it where it is.
    pub fn stop(&mut self) {
        self.running = None;
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        let done_to_the_end = service_fn(move |request: Request<Incoming>| {
            let service = service.clone();
            let call = tokio::spawn(async move { Service::call(&service, request).await });
            async move {
                call.await
                    .map_err(std::io::Error::other)?
                    .map_err(std::io::Error::other)
            }
        });
        tokio::spawn(async move {
            // An error is a connection that broke.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), done_to_the_end)
                .await;
        });
    }
}

struct Files {
    inner: FileSystem,
    folder: PathBuf,
    /// Whoever ends an upload holds it.
    ending: tokio::sync::Mutex<()>,
    tags: Arc<Tags>,
}

/// The key of each upload in `folder` that has not ended, by its id. `s3s-fs` keeps two files of an
/// upload. The one that says who has begun it goes first when it ends; in the other's name is the key.
pub fn uploads(folder: &Path) -> HashMap<String, String> {
    let names = std::fs::read_dir(folder).into_iter().flatten();
    let names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let of_name = |name: &String| {
        let about = name.strip_suffix(".metadata.json")?;
        let (object, id) = about.rsplit_once(".upload-")?;
        let (_, key) = object.rsplit_once(".object-")?;
        let key = String::from_utf8(URL_SAFE_NO_PAD.decode(key).ok()?).ok()?;
        let begun = folder.join(format!(".upload-{id}.json")).exists();
        begun.then(|| (id.to_owned(), key))
    };
    names.iter().filter_map(of_name).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    fn expect_upload(&self, id: &str) -> S3Result<()> {
        let is_id = id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        match is_id && self.folder.join(format!(".upload-{id}.json")).exists() {
            true => Ok(()),
            false => Err(s3_error!(
                NoSuchUpload,
                "The specified upload does not exist."
            )),
        }
    }

    /// The ETag of an object.
    async fn etag(&self, bucket: &str, key: &str) -> S3Result<Option<ETag>> {
        let input = HeadObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..HeadObjectInput::default()
        };
        let request = S3Request {
            input,
            method: Method::HEAD,
            uri: Uri::default(),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        Ok(self.inner.head_object(request).await?.output.e_tag)
    }
}

/// Hands calls on as they are: what `async_trait` makes of `self.inner.call(request).await`.
macro_rules! handed_on {
    ($($call:ident: $input:ident -> $output:ident;)+) => {$(
        fn $call<'s, 'f>(
            &'s self,
            request: S3Request<$input>,
        ) -> Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'f>>
        where
            's: 'f,
            Self: 'f,
        {
            self.inner.$call(request)
        }
    )+};
}

#[async_trait::async_trait]
impl S3 for Files {
    handed_on! {
        head_object: HeadObjectInput -> HeadObjectOutput;
        put_object: PutObjectInput -> PutObjectOutput;
        copy_object: CopyObjectInput -> CopyObjectOutput;
        head_bucket: HeadBucketInput -> HeadBucketOutput;
        create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput;
    }

    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        // It would say that it encodes keys, and would not.
        request.input.encoding_type = None;
        let bucket = request.input.bucket.clone();
        let mut listed = self.inner.list_objects_v2(request).await?;
        let mut there = Vec::new();
        for mut object in listed.output.contents.take().into_iter().flatten() {
            let key = object.key.clone().unwrap_or_default();
            // It may have been deleted meanwhile.
            if let Ok(etag) = self.etag(&bucket, &key).await {
                object.e_tag = etag;
                there.push(object);
            }
        }
        listed.output.contents = Some(there);
        Ok(listed)
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput {
            bucket,
            key,
            if_match,
            ..
        } = &request.input;
        if let Some(ETagCondition::ETag(wanted)) = if_match {
            let found = self.etag(bucket, key).await?;
            if !found.is_some_and(|found| found.strong_cmp(wanted)) {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        self.inner.get_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        lock(&self.tags).remove(&request.input.key);
        self.inner.delete_object(request).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let GetObjectTaggingInput { bucket, key, .. } = &request.input;
        self.etag(bucket, key).await?;
        let tag_set = lock(&self.tags).get(key).cloned();
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: tag_set.unwrap_or_default(),
            version_id: None,
        }))
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let PutObjectTaggingInput {
            bucket,
            key,
            tagging,
            ..
        } = request.input;
        self.etag(&bucket, &key).await?;
        lock(&self.tags).insert(key, tagging.tag_set);
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.expect_upload(&request.input.upload_id)?;
        self.inner.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _alone = self.ending.lock().await;
        self.expect_upload(&request.input.upload_id)?;
        self.inner.complete_multipart_upload(request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let _alone = self.ending.lock().await;
        self.expect_upload(&request.input.upload_id)?;
        self.inner.abort_multipart_upload(request).await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let uploads = uploads(&self.folder).into_iter();
        let found = uploads.filter(|(_, key)| key.starts_with(&prefix));
        let found = found.map(|(id, key)| MultipartUpload {
            key: Some(key),
            upload_id: Some(id),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(found.collect()),
            is_truncated: Some(false),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
