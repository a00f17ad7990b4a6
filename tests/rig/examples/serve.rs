//! An S3 server to try pipelines against: puts the files that it is given, says how to reach it, and
//! serves until its input ends.
//!
//!     cargo run -p towpath-rig --example serve -- [--minio] FILE...

#![expect(
    clippy::unwrap_used,
    reason = "whoever tries something sees what fails"
)]

use towpath_rig::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store};

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let minio = files.iter().position(|argument| argument == "--minio");
    let store = match minio {
        Some(at) => {
            files.remove(at);
            Store::named("MinIO")
        }
        None => Store::in_process(),
    };
    for file in &files {
        store.put(file.trim_start_matches('/'), std::fs::read(file).unwrap());
    }
    println!("export S3_ENDPOINT={} S3_BUCKET={BUCKET}", store.endpoint());
    println!("export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
    println!(
        "export AWS_REGION={REGION}   # {}, {} objects",
        store.name,
        files.len()
    );
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    for key in store.keys() {
        println!("{key}");
    }
}
