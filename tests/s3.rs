//! Object storage, against each S3 server there is (`rig/README.md`): the real program, kill -9 at
//! random moments, servers that are restarted.

mod credentials;
mod faults;
mod files;
mod large;
mod pipelines;
mod sink;
mod source;

use towpath_rig::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store};

use crate::harness::{Workdir, skip};

/// A workdir whose commands find the bucket of an S3 server, as the examples do.
pub fn workdir_with(endpoint: &str) -> Workdir {
    let mut workdir = Workdir::new();
    workdir.set_env("S3_ENDPOINT", endpoint);
    workdir.set_env("S3_BUCKET", BUCKET);
    workdir.set_env("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    workdir.set_env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    workdir.set_env("AWS_REGION", REGION);
    workdir
}

#[test]
fn minio_is_one_of_the_servers() {
    if Store::names().len() == 1 {
        let why = "target/minio/minio is not there: all S3 tests ran on s3s-fs alone";
        skip("s3::minio_is_one_of_the_servers", why);
    }
}
