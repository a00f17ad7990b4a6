//! An S3 server with one bucket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tempfile::TempDir;

use crate::background::Background;
use crate::in_process::{self, InProcess};
use crate::minio::{self, Minio};

/// What the servers take.
pub const ACCESS_KEY: &str = "towpath";
/// What the servers take.
pub const SECRET_KEY: &str = "towpath-rig-secret";
/// Where the bucket is.
pub const REGION: &str = "us-east-1";
/// The one bucket.
pub const BUCKET: &str = "bucket";

const IN_PROCESS: &str = "s3s-fs";
const MINIO: &str = "MinIO";

/// A server with an empty bucket, and a client to look into it that owes nothing to the code
/// under test.
pub struct Store {
    /// Which server it is.
    pub name: &'static str,
    folder: TempDir,
    port: u16,
    kind: Kind,
    client: Client,
    background: Background,
}

enum Kind {
    InProcess(InProcess),
    Minio {
        program: PathBuf,
        running: Option<Minio>,
    },
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `x-amz-meta-*`, without that prefix.
    pub metadata: BTreeMap<String, String>,
    /// As the server gives it.
    pub etag: String,
    /// `Content-Type`; `s3s-fs` forgets that of uploads in parts.
    pub content_type: String,
}

impl Store {
    /// The in-process server, and MinIO if it was built.
    pub fn all() -> Vec<Self> {
        Self::names().into_iter().map(Self::named).collect()
    }

    /// The names of those.
    pub fn names() -> Vec<&'static str> {
        let minio = minio::program().map(|_| MINIO);
        [Some(IN_PROCESS), minio].into_iter().flatten().collect()
    }

    /// One of those.
    pub fn named(name: &str) -> Self {
        Self::new(match minio::program() {
            Some(program) if name == MINIO => Kind::Minio {
                program,
                running: None,
            },
            _ => Kind::InProcess(InProcess::default()),
        })
    }

    /// The in-process server.
    pub fn in_process() -> Self {
        Self::named(IN_PROCESS)
    }

    fn new(kind: Kind) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let name = match kind {
            Kind::InProcess(_) => IN_PROCESS,
            Kind::Minio { .. } => MINIO,
        };
        let mut store = Self {
            name,
            folder: TempDir::new().unwrap(),
            port,
            kind,
            client: client(&format!("http://127.0.0.1:{port}")),
            background: Background::new(),
        };
        // Both keep a bucket as a folder.
        std::fs::create_dir(store.folder.path().join(BUCKET)).unwrap();
        store.start();
        store
    }

    /// Starts it again, where it was, with what it holds.
    pub fn start(&mut self) {
        match &mut self.kind {
            Kind::InProcess(server) => server.start(self.folder.path(), self.port),
            Kind::Minio { program, running } => {
                *running = Some(Minio::start(program, self.folder.path(), self.port));
            }
        }
    }

    /// Kills it: connections break, and what it was doing stays half done.
    pub fn stop(&mut self) {
        match &mut self.kind {
            Kind::InProcess(server) => server.stop(),
            Kind::Minio { running, .. } => *running = None,
        }
    }

    /// `http://HOST:PORT`, the same over restarts.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process that serves: MinIO's, or this one.
    pub fn pid(&self) -> u32 {
        match &self.kind {
            Kind::Minio {
                running: Some(running),
                ..
            } => running.pid(),
            _ => std::process::id(),
        }
    }

    /// Puts an object; gives its ETag.
    pub fn put(&self, key: &str, content: impl Into<Vec<u8>>) -> String {
        let body = ByteStream::from(content.into());
        let put = self.client.put_object().bucket(BUCKET).key(key).body(body);
        let put = self.background.wait(put.send()).unwrap();
        put.e_tag.unwrap_or_default()
    }

    /// Has the in-process server say that an object was written so long ago.
    pub fn age(&self, key: &str, age: Duration) {
        assert_eq!(
            self.name, IN_PROCESS,
            "MinIO keeps times in a file of its own"
        );
        let path = self.folder.path().join(BUCKET).join(key);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// Puts an object that is too large for one piece of memory: each part but the last has 5 MiB.
    pub fn put_parts(&self, key: &str, parts: impl IntoIterator<Item = Vec<u8>>) {
        let create = self
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key);
        let created = self.background.wait(create.send()).unwrap();
        let id = created.upload_id.unwrap();
        let mut completed = CompletedMultipartUpload::builder();
        for (number, part) in (1..).zip(parts) {
            let upload = self
                .client
                .upload_part()
                .bucket(BUCKET)
                .key(key)
                .upload_id(&id);
            let upload = upload.part_number(number).body(ByteStream::from(part));
            let etag = self.background.wait(upload.send()).unwrap().e_tag;
            let part = CompletedPart::builder().part_number(number).set_e_tag(etag);
            completed = completed.parts(part.build());
        }
        let complete = self.client.complete_multipart_upload().bucket(BUCKET);
        let complete = complete.key(key).upload_id(id);
        let complete = complete.multipart_upload(completed.build());
        self.background.wait(complete.send()).unwrap();
    }

    /// An object; `None` if there is none.
    pub fn get(&self, key: &str) -> Option<Content> {
        let get = self.client.get_object().bucket(BUCKET).key(key).send();
        self.background.wait(async {
            let object = match get.await {
                Ok(object) => object,
                Err(error) if is_missing(&error) => return None,
                Err(error) => panic!("{key}: {error:?}"),
            };
            let metadata = object.metadata.unwrap_or_default();
            Some(Content {
                etag: object.e_tag.unwrap_or_default(),
                content_type: object.content_type.unwrap_or_default(),
                bytes: object.body.collect().await.unwrap().to_vec(),
                metadata: metadata.into_iter().collect(),
            })
        })
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        let delete = self.client.delete_object().bucket(BUCKET).key(key).send();
        self.background.wait(delete).unwrap();
    }

    /// Every key, in order.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let list = self.client.list_objects_v2().bucket(BUCKET);
        let mut pages = list.into_paginator().send();
        while let Some(page) = self.background.wait(pages.next()) {
            let objects = page.unwrap().contents.unwrap_or_default();
            keys.extend(objects.into_iter().filter_map(|object| object.key));
        }
        keys
    }

    /// The tags of an object.
    pub fn tags(&self, key: &str) -> BTreeMap<String, String> {
        let get = self.client.get_object_tagging().bucket(BUCKET).key(key);
        let tags = self.background.wait(get.send()).unwrap().tag_set;
        tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
    }

    /// How many multipart uploads are begun and neither completed nor aborted, as the server's disk
    /// says.
    pub fn uploads(&self) -> usize {
        let root = self.folder.path();
        match self.kind {
            Kind::InProcess(_) => in_process::uploads(root).len(),
            Kind::Minio { .. } => {
                let uploads = root.join(".minio.sys/multipart");
                entries(&uploads)
                    .map(|key| entries(&uploads.join(key)).count())
                    .sum()
            }
        }
    }
}

fn entries(folder: &std::path::Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
}

fn is_missing<E: aws_sdk_s3::error::ProvideErrorMetadata>(error: &E) -> bool {
    error.code() == Some("NoSuchKey")
}

/// A client of a store at `endpoint`.
pub fn client(endpoint: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "rig"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        // s3s-fs keeps that of an object that was deleted.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}
