//! The source's side of the client: listing and reading objects, and what is done with them after.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, Tag, Tagging};
use bytes::Bytes;
use towpath_sdk::{Error, ErrorKind};

use super::Client;
use super::failure::{Call, Failure};
use super::multipart::{HEAD, percent_encoded};

const LIST: Call = Call {
    name: "ListObjectsV2",
    doing: "list",
    right: "s3:ListBucket",
};
const GET: Call = Call {
    name: "GetObject",
    doing: "read",
    right: "s3:GetObject",
};
const DELETE: Call = Call {
    name: "DeleteObject",
    doing: "delete",
    right: "s3:DeleteObject",
};
const COPY: Call = Call {
    name: "CopyObject",
    doing: "copy",
    right: "s3:PutObject, s3:GetObject and s3:GetObjectTagging",
};
const TAGS: Call = Call {
    name: "GetObjectTagging",
    doing: "read the tags of",
    right: "s3:GetObjectTagging",
};
const TAG: Call = Call {
    name: "PutObjectTagging",
    doing: "tag",
    right: "s3:PutObjectTagging",
};

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: String,
    /// Which content it is; without quotes.
    pub etag: String,
    /// In bytes.
    pub size: u64,
    /// When it was written, by the store's clock: milliseconds since 1970. Of a multipart upload
    /// S3 says when it was *begun*.
    pub modified_ms: i64,
}

/// A page of a listing, in the order of the keys' bytes.
#[derive(Debug)]
pub struct Page {
    /// Up to 1,000.
    pub objects: Vec<Listed>,
    /// Whether there is more behind the last of them.
    pub more: bool,
}

/// An object's content from a position on, as it arrives.
#[derive(Debug)]
pub struct Body(ByteStream);

impl Body {
    /// What arrived next; `None` at the end.
    pub async fn next(
        &mut self,
    ) -> Option<Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
        self.0.next().await.map(|bytes| bytes.map_err(Into::into))
    }
}

impl Client {
    /// The objects below `prefix` whose keys stand behind `after`.
    pub async fn list(&self, prefix: &str, after: &str) -> Result<Page, Failure> {
        let listed = self
            .s3
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            // Not every key can stand in XML.
            .encoding_type(EncodingType::Url)
            .set_start_after(Some(after.to_owned()).filter(|after| !after.is_empty()))
            .send()
            .await
            .map_err(|failed| self.failure(&LIST, prefix, failed))?;
        let encoded = listed.encoding_type == Some(EncodingType::Url);
        let objects = listed.contents.unwrap_or_default().into_iter();
        let objects = objects.map(|object| {
            let modified = object.last_modified.and_then(|time| time.to_millis().ok());
            let key = object.key?;
            Some(Listed {
                key: if encoded { decoded(&key)? } else { key },
                etag: bare(&object.e_tag?).to_owned(),
                size: u64::try_from(object.size?).ok()?,
                modified_ms: modified?,
            })
        });
        let objects = objects.collect::<Option<_>>().ok_or_else(|| Failure {
            code: None,
            error: Error::configuration(LIST.doing, self.name(prefix)).because(
                "an object is listed without key, ETag, size or time, or its key is no text",
            ),
        })?;
        Ok(Page {
            objects,
            more: listed.is_truncated == Some(true),
        })
    }

    /// The content of `object` from byte `from` on, if it is still that one: otherwise the failure is
    /// `PreconditionFailed`. From the end on it is empty.
    pub async fn get(&self, object: &Listed, from: u64) -> Result<Body, Failure> {
        if from >= object.size {
            return Ok(Body(ByteStream::from_static(b"")));
        }
        let got = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .if_match(quoted(&object.etag))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .send()
            .await
            .map_err(|failed| self.failure(&GET, &object.key, failed))?;
        // Some stores know no `If-Match`.
        if got
            .e_tag
            .as_deref()
            .is_some_and(|etag| bare(etag) != object.etag)
        {
            return Err(self.replaced(&GET, &object.key));
        }
        Ok(Body(got.body))
    }

    /// What stands under `key`; `None` if nothing does.
    pub(super) async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>, Failure> {
        let head = self.s3.head_object().bucket(&self.bucket).key(key);
        match head.send().await {
            Ok(head) => Ok(Some(head)),
            Err(failed) => match self.failure(&HEAD, key, failed) {
                failure if failure.is("NotFound") || failure.is("NoSuchKey") => Ok(None),
                failure if failure.error.kind() == ErrorKind::Configuration => {
                    Err(self.explained(key).await.unwrap_or(failure))
                }
                failure => Err(failure),
            },
        }
    }

    /// Why `key` cannot be looked at: what refuses a HEAD has no body that says it, but the answer to
    /// a GET has. `None` if that is not refused.
    async fn explained(&self, key: &str) -> Option<Failure> {
        let get = self.s3.get_object().bucket(&self.bucket).key(key);
        let refused = get.range("bytes=0-0").send().await.err()?;
        Some(self.failure(&HEAD, key, refused))
    }

    /// `key` as a listing would show it now; `None` if there is nothing.
    pub async fn look_at(&self, key: &str) -> Result<Option<Listed>, Failure> {
        let Some(head) = self.head(key).await? else {
            return Ok(None);
        };
        let modified = head.last_modified.and_then(|time| time.to_millis().ok());
        Ok(head.e_tag.zip(modified).map(|(etag, modified_ms)| Listed {
            key: key.to_owned(),
            etag: bare(&etag).to_owned(),
            size: head
                .content_length
                .and_then(|size| size.try_into().ok())
                .unwrap_or(0),
            modified_ms,
        }))
    }

    /// Deletes `object`, if it is still that one. It is gone then, or was.
    pub async fn delete(&self, object: &Listed) -> Result<(), Failure> {
        let delete = self.s3.delete_object().bucket(&self.bucket);
        let deleted = delete
            .key(&object.key)
            .if_match(quoted(&object.etag))
            .send()
            .await
            .map_err(|failed| self.failure(&DELETE, &object.key, failed));
        match deleted {
            Err(failure) if !failure.is("NoSuchKey") => Err(failure),
            _ => Ok(()),
        }
    }

    /// Copies `object` to `key` of the same bucket, if it is still that one.
    pub async fn copy(&self, object: &Listed, key: &str) -> Result<(), Failure> {
        let from = object
            .key
            .split('/')
            .map(percent_encoded)
            .collect::<Vec<_>>();
        let from = format!("{}/{}", self.bucket, from.join("/"));
        self.s3
            .copy_object()
            .bucket(&self.bucket)
            .key(key)
            .copy_source(from)
            .copy_source_if_match(quoted(&object.etag))
            .send()
            .await
            .map_err(|failed| self.failure(&COPY, &object.key, failed))?;
        Ok(())
    }

    /// Gives the object under `key` a tag besides those it has.
    pub async fn tag(&self, key: &str, name: &str, value: &str) -> Result<(), Failure> {
        let tags = self.s3.get_object_tagging().bucket(&self.bucket).key(key);
        let tags = tags
            .send()
            .await
            .map_err(|failed| self.failure(&TAGS, key, failed))?;
        let failed = |error| Failure {
            code: None,
            error: Error::configuration(TAG.doing, self.name(key)).because(error),
        };
        let tag = Tag::builder()
            .key(name)
            .value(value)
            .build()
            .map_err(failed)?;
        let mut tags = tags.tag_set;
        tags.retain(|tag| tag.key() != name);
        tags.push(tag);
        let tags = Tagging::builder()
            .set_tag_set(Some(tags))
            .build()
            .map_err(failed)?;
        self.s3
            .put_object_tagging()
            .bucket(&self.bucket)
            .key(key)
            .tagging(tags)
            .send()
            .await
            .map_err(|failed| self.failure(&TAG, key, failed))?;
        Ok(())
    }

    /// The failure of a call that found another content under `key` than the one it was about.
    fn replaced(&self, call: &Call, key: &str) -> Failure {
        Failure {
            code: Some("PreconditionFailed".to_owned()),
            error: Error::transient(call.doing, self.name(key)).because("it was replaced"),
        }
    }
}

/// An ETag as stores compare it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn bare(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// A key of a listing that is encoded as in a query; `None` when it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}
