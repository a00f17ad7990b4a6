//! What the sink is compared with: nothing but compression, nothing but uploads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use towpath_rig::BUCKET;

use crate::server::Server;

/// As the sink has them.
const PIECE_BYTES: usize = 1 << 20;
const PART_BYTES: usize = 5 << 20;
const OBJECT_BYTES: usize = 64 << 20;
const PARTS_AT_ONCE: usize = 4;

/// Compresses `bytes` on so many threads, piece by piece, at level 1; the processor seconds that it
/// took when no other work was there.
pub fn gzip(bytes: &Bytes, threads: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut pieces = bytes.chunks(PIECE_BYTES);
                let mut made = Vec::new();
                let mut at = 0;
                loop {
                    let taken = next.fetch_add(1, Relaxed);
                    let Some(piece) = pieces.nth(taken - at) else {
                        break;
                    };
                    at = taken + 1;
                    made.clear();
                    let mut member = GzEncoder::new(&mut made, Compression::new(1));
                    std::io::Write::write_all(&mut member, piece).unwrap();
                    member.finish().unwrap();
                }
            });
        }
    });
    begun.elapsed().as_secs_f64() * threads as f64
}

/// Uploads `bytes` as objects in parts; the seconds that it took.
pub fn uploads(server: &Server, bytes: &Bytes) -> f64 {
    let begun = Instant::now();
    server.runtime.block_on(async {
        let flight = Arc::new(Semaphore::new(PARTS_AT_ONCE));
        let mut objects = JoinSet::new();
        for at in (0..bytes.len()).step_by(OBJECT_BYTES) {
            let content = bytes.slice(at..bytes.len().min(at + OBJECT_BYTES));
            let object = upload(
                server.client.clone(),
                format!("bare/{at}"),
                content,
                flight.clone(),
            );
            // The next one begins while the last parts of this one are on their way.
            let turn = flight.clone().acquire_owned().await.unwrap();
            objects.spawn(object);
            drop(turn);
        }
        while let Some(object) = objects.join_next().await {
            object.unwrap();
        }
    });
    begun.elapsed().as_secs_f64()
}

async fn upload(client: aws_sdk_s3::Client, key: String, content: Bytes, flight: Arc<Semaphore>) {
    let created = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(&key)
        .send()
        .await;
    let id = created.unwrap().upload_id.unwrap();
    let mut parts = JoinSet::new();
    for (number, at) in (1..).zip((0..content.len()).step_by(PART_BYTES)) {
        let part = content.slice(at..content.len().min(at + PART_BYTES));
        let permit = flight.clone().acquire_owned().await.unwrap();
        let call = client.upload_part().bucket(BUCKET).key(&key).upload_id(&id);
        let call = call.part_number(number).body(ByteStream::from(part));
        parts.spawn(async move {
            let sent = call.send().await.unwrap();
            drop(permit);
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .build()
        });
    }
    let mut parts = parts.join_all().await;
    parts.sort_by_key(|part| part.part_number);
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(&key);
    complete
        .upload_id(&id)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();
}
