//! The sink's side of the client: uploads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ObjectCannedAcl,
    ServerSideEncryption, StorageClass,
};
use bytes::Bytes;
use towpath_sdk::{Error, Result, async_trait};

use super::Client;
use super::failure::{Call, Failure};
use crate::uploads::{Completed, Found, MARK, Part, Upload, Uploads};

const CREATE: Call = Call {
    name: "CreateMultipartUpload",
    doing: "begin to write",
    right: "s3:PutObject",
};
const PART: Call = Call {
    name: "UploadPart",
    doing: "write a part of",
    right: "s3:PutObject",
};
const COMPLETE: Call = Call {
    name: "CompleteMultipartUpload",
    doing: "complete",
    right: "s3:PutObject",
};
const ABORT: Call = Call {
    name: "AbortMultipartUpload",
    doing: "give up the upload of",
    right: "s3:AbortMultipartUpload",
};
const UPLOADS: Call = Call {
    name: "ListMultipartUploads",
    doing: "list the uploads of",
    right: "s3:ListBucketMultipartUploads",
};
pub(super) const HEAD: Call = Call {
    name: "HeadObject",
    doing: "look at",
    right: "s3:GetObject",
};

/// What every new object is given.
#[derive(Debug, Clone, Default)]
pub struct NewObject {
    /// As S3 names them, such as `STANDARD_IA`.
    pub storage_class: Option<String>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub server_side_encryption: Option<String>,
    /// The id or ARN of a KMS key.
    pub kms_key: Option<String>,
    /// A canned ACL, such as `bucket-owner-full-control`.
    pub acl: Option<String>,
    /// Names and values.
    pub tags: Vec<(String, String)>,
    /// `Content-Type`
    pub content_type: Option<String>,
}

/// Uploads to the client's bucket.
#[derive(Debug)]
pub struct Multipart {
    client: Client,
    object: NewObject,
    /// Until the store says that it does not know `If-None-Match`.
    conditional: AtomicBool,
}

impl Multipart {
    /// Uploads whose objects are given what `object` says.
    pub fn new(client: Client, object: NewObject) -> Self {
        Self {
            client,
            object,
            conditional: AtomicBool::new(true),
        }
    }

    /// Gives up all uploads of `key` but `id`: a call to create one that was made again may have been
    /// done before, too.
    async fn abort_others(&self, key: &str, id: &str) -> Result<()> {
        for other in self.open_uploads(key).await? {
            if other != id {
                let key = key.to_owned();
                self.abort(&Upload { key, id: other }).await?;
            }
        }
        Ok(())
    }

    async fn try_complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        conditional: bool,
    ) -> Result<(), Failure> {
        let parts = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(number(part.number))
                .e_tag(&part.etag)
                .set_checksum_crc32(part.checksum.clone())
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let call = self.client.s3.complete_multipart_upload();
        call.bucket(&self.client.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .multipart_upload(parts.build())
            .set_if_none_match(conditional.then(|| "*".to_owned()))
            .send()
            .await
            .map_err(|failed| self.client.failure(&COMPLETE, &upload.key, failed))?;
        Ok(())
    }
}

/// How often a call was made.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<AtomicU32>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[async_trait]
impl Uploads for Multipart {
    async fn create(&self, key: &str, mark: &str) -> Result<String> {
        let attempts = Attempts::default();
        let object = &self.object;
        let encode = |text: &String| percent_encoded(text);
        let tags = object.tags.iter();
        let tags = tags.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let tags = tags.collect::<Vec<_>>().join("&");
        let checksum = self
            .client
            .always_checksum
            .then_some(ChecksumAlgorithm::Crc32);
        let created = self
            .client
            .s3
            .create_multipart_upload()
            .bucket(&self.client.bucket)
            .key(key)
            .metadata(MARK, mark)
            .set_storage_class(object.storage_class.as_deref().map(StorageClass::from))
            .set_server_side_encryption(
                object
                    .server_side_encryption
                    .as_deref()
                    .map(ServerSideEncryption::from),
            )
            .set_ssekms_key_id(object.kms_key.clone())
            .set_acl(object.acl.as_deref().map(ObjectCannedAcl::from))
            .set_tagging(Some(tags).filter(|tags| !tags.is_empty()))
            .set_content_type(object.content_type.clone())
            .set_checksum_algorithm(checksum)
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|failed| self.client.failure(&CREATE, key, failed))?;
        let id = created.upload_id.ok_or_else(|| {
            Error::transient(CREATE.doing, self.client.name(key))
                .because("CreateMultipartUpload gave no upload id")
        })?;
        if attempts.0.load(Relaxed) > 1 {
            self.abort_others(key, &id).await?;
        }
        Ok(id)
    }

    async fn upload_part(&self, upload: &Upload, number: u32, content: Bytes) -> Result<Part> {
        let checksum = self
            .client
            .always_checksum
            .then_some(ChecksumAlgorithm::Crc32);
        let part = self
            .client
            .s3
            .upload_part()
            .bucket(&self.client.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(self::number(number))
            .body(ByteStream::from(content))
            .set_checksum_algorithm(checksum)
            .send()
            .await
            .map_err(|failed| self.client.failure(&PART, &upload.key, failed))?;
        let Some(etag) = part.e_tag else {
            let error = Error::transient(PART.doing, self.client.name(&upload.key));
            return Err(error.because("UploadPart gave no ETag"));
        };
        Ok(Part {
            number,
            etag,
            checksum: part.checksum_crc32,
        })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Completed> {
        let conditional = self.conditional.load(Relaxed);
        let mut completed = self.try_complete(upload, parts, conditional).await;
        if conditional
            && completed
                .as_ref()
                .is_err_and(|failure| failure.is("NotImplemented"))
        {
            self.conditional.store(false, Relaxed);
            completed = self.try_complete(upload, parts, false).await;
        }
        match completed {
            Ok(()) => Ok(Completed::Done),
            Err(failure) if failure.is("NoSuchUpload") => Ok(Completed::NoSuchUpload),
            Err(failure) if failure.is("InvalidPart") => Ok(Completed::Broken),
            Err(failure) if failure.is("PreconditionFailed") => Ok(Completed::Occupied),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let aborted = self
            .client
            .s3
            .abort_multipart_upload()
            .bucket(&self.client.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .send()
            .await
            .map_err(|failed| self.client.failure(&ABORT, &upload.key, failed));
        match aborted {
            Err(failure) if !failure.is("NoSuchUpload") => Err(failure.into()),
            _ => Ok(()),
        }
    }

    async fn open_uploads(&self, key: &str) -> Result<Vec<String>> {
        let list = self.client.s3.list_multipart_uploads();
        let list = list.bucket(&self.client.bucket).prefix(key);
        let (mut ids, mut after) = (Vec::new(), (None, None));
        loop {
            let page = list
                .clone()
                .set_key_marker(after.0)
                .set_upload_id_marker(after.1)
                .send()
                .await
                .map_err(|failed| self.client.failure(&UPLOADS, key, failed));
            let page = match page {
                Ok(page) => page,
                Err(failure) if CANNOT_TELL.iter().any(|code| failure.is(code)) => return Ok(ids),
                Err(failure) => return Err(failure.into()),
            };
            let uploads = page.uploads.unwrap_or_default();
            let of_key = uploads
                .into_iter()
                .filter(|upload| upload.key() == Some(key));
            ids.extend(of_key.filter_map(|upload| upload.upload_id));
            after = (page.next_key_marker, page.next_upload_id_marker);
            // The keys come in order: behind `key` there is none of it.
            let on = page.is_truncated == Some(true) && after.0.as_deref() == Some(key);
            if !on {
                return Ok(ids);
            }
        }
    }

    async fn look_up(&self, key: &str) -> Result<Found> {
        match self.client.head(key).await? {
            None => Ok(Found::Nothing),
            Some(head) => Ok(Found::Object {
                mark: head.metadata.and_then(|mut metadata| metadata.remove(MARK)),
            }),
        }
    }
}

/// What a store answers that cannot tell its uploads.
const CANNOT_TELL: &[&str] = &["NotImplemented", "MethodNotAllowed", "AccessDenied"];

/// There are 10,000 parts at most.
fn number(part: u32) -> i32 {
    i32::try_from(part).unwrap_or(i32::MAX)
}

/// As tags stand in a header: every byte that is not a letter, digit, `-`, `.`, `_` or `~` as `%XX`.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
