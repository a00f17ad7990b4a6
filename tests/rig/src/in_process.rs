//! `s3s-fs` as a server in this process, with what it lacks and the connector needs: `If-Match` of
//! GetObject, ETags in listings, tags, a list of uploads, and `NoSuchUpload`.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::{HeaderMap, Method, Uri};
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
    beside: Arc<Beside>,
    running: Option<Background>,
}

/// What `s3s-fs` does not keep.
#[derive(Default)]
struct Beside {
    /// The key of each upload that has not ended, by its id.
    uploads: Mutex<BTreeMap<String, String>>,
    /// By key.
    tags: Mutex<BTreeMap<String, TagSet>>,
}

impl InProcess {
    /// Listens on `port` of this machine, over `folder`.
    pub fn start(&mut self, folder: &Path, port: u16) {
        let files = Files {
            inner: FileSystem::new(folder).unwrap(),
            beside: self.beside.clone(),
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
        tokio::spawn(async move {
            // An error is a connection that broke.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

struct Files {
    inner: FileSystem,
    beside: Arc<Beside>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    fn expect_upload(&self, id: &str) -> S3Result<()> {
        match lock(&self.beside.uploads).contains_key(id) {
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
    }

    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        // It would say that it encodes keys, and would not.
        request.input.encoding_type = None;
        let bucket = request.input.bucket.clone();
        let mut listed = self.inner.list_objects_v2(request).await?;
        for object in listed.output.contents.iter_mut().flatten() {
            let key = object.key.clone().unwrap_or_default();
            object.e_tag = self.etag(&bucket, &key).await?;
        }
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
        lock(&self.beside.tags).remove(&request.input.key);
        self.inner.delete_object(request).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let GetObjectTaggingInput { bucket, key, .. } = &request.input;
        self.etag(bucket, key).await?;
        let tag_set = lock(&self.beside.tags).get(key).cloned();
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
        lock(&self.beside.tags).insert(key, tagging.tag_set);
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let key = request.input.key.clone();
        let created = self.inner.create_multipart_upload(request).await?;
        let id = created.output.upload_id.clone().unwrap_or_default();
        lock(&self.beside.uploads).insert(id, key);
        Ok(created)
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
        let id = request.input.upload_id.clone();
        self.expect_upload(&id)?;
        let completed = self.inner.complete_multipart_upload(request).await?;
        lock(&self.beside.uploads).remove(&id);
        Ok(completed)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let id = request.input.upload_id.clone();
        self.expect_upload(&id)?;
        let aborted = self.inner.abort_multipart_upload(request).await?;
        lock(&self.beside.uploads).remove(&id);
        Ok(aborted)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let uploads = lock(&self.beside.uploads);
        let found = uploads.iter().filter(|(_, key)| key.starts_with(&prefix));
        let found = found.map(|(id, key)| MultipartUpload {
            key: Some(key.clone()),
            upload_id: Some(id.clone()),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(found.collect()),
            is_truncated: Some(false),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
