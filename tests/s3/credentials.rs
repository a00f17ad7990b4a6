//! Where credentials come from: each place once, against what hands them out there
//! (`rig/src/identity.rs`), with renewal; and what is said when there are none.

use std::time::Duration;

use towpath_rig::{ACCESS_KEY, BUCKET, Call, Fault, Identity, Proxy, Rule, SECRET_KEY, Store};

use crate::harness::{Workdir, wait_for};

const PIPELINE: &str = "
sources:
  in: { type: file, include: in.log, topic: lines }
sinks:
  out:
    type: s3
    topics: lines
    bucket: ${env:S3_BUCKET}
    endpoint: ${env:S3_ENDPOINT}
    path: '{start_offset:020}'
    rotate: { time: 50ms }
    retry: { first: 10ms }
    # more
";
/// Credentials are renewed in the last ten seconds of their life.
const LIFETIME: Duration = Duration::from_secs(11);

/// A bucket behind a proxy, what hands out credentials, and a workdir whose commands have none yet.
struct Rig {
    store: Store,
    proxy: Proxy,
    identity: Identity,
    workdir: Workdir,
}

impl Rig {
    fn new(credentials: &str) -> Self {
        // It takes any session token; MinIO only its own.
        let store = Store::in_process();
        let proxy = Proxy::new(&store.endpoint());
        let mut workdir = Workdir::new();
        workdir.set_env("S3_ENDPOINT", proxy.endpoint());
        workdir.set_env("S3_BUCKET", BUCKET);
        workdir.set_env("AWS_CONFIG_FILE", "aws-config");
        workdir.set_env("AWS_SHARED_CREDENTIALS_FILE", "aws-credentials");
        workdir.write("in.log", "one\n");
        workdir.write("out.yaml", PIPELINE.replace("# more", credentials));
        Self {
            store,
            proxy,
            identity: Identity::new(LIFETIME),
            workdir,
        }
    }

    fn with_instance(mut self) -> Self {
        let endpoint = self.identity.endpoint().to_owned();
        self.workdir
            .set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint);
        self
    }

    fn with_sts(mut self) -> Self {
        let endpoint = self.identity.endpoint().to_owned();
        self.workdir.set_env("AWS_ENDPOINT_URL_STS", &endpoint);
        self
    }

    fn write_profile(&self, token: &str) {
        let profile = format!(
            "[archive]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n\
             aws_session_token = {token}\n"
        );
        self.workdir.write("aws-credentials", profile);
    }

    /// What was written came with the session token.
    #[track_caller]
    fn check(&self, token: &str) {
        self.workdir.drain("out.yaml", 0);
        let keys = self.store.keys();
        let key = keys.first().expect("an object");
        assert_eq!(self.store.get(key).expect("it").bytes, b"one\n");
        let tokens: Vec<_> = self.proxy.tokens().into_iter().collect();
        assert!(
            tokens.iter().all(|used| used.starts_with(token)),
            "{tokens:?}"
        );
        assert_eq!(tokens.is_empty(), token.is_empty());
    }
}

#[test]
fn of_the_environment() {
    let mut rig = Rig::new("");
    rig.workdir.set_env("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    rig.workdir.set_env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    rig.check("");
}

#[test]
fn of_a_profile() {
    let mut rig = Rig::new("");
    rig.write_profile("of-the-file");
    rig.workdir.set_env("AWS_PROFILE", "archive");
    rig.check("of-the-file");
}

#[test]
fn of_a_container() {
    let mut rig = Rig::new("");
    let uri = format!("{}/container", rig.identity.endpoint());
    rig.workdir
        .set_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri);
    rig.check("token-");
    assert!(rig.identity.handed("container") > 0);
}

#[test]
fn of_an_instance() {
    let rig = Rig::new("").with_instance();
    rig.check("token-");
    assert!(rig.identity.handed("instance") > 0);
}

#[test]
fn of_a_web_identity() {
    let mut rig = Rig::new("").with_sts();
    rig.workdir.write("web-token", "signed by somebody");
    rig.workdir
        .set_env("AWS_WEB_IDENTITY_TOKEN_FILE", "web-token");
    rig.workdir
        .set_env("AWS_ROLE_ARN", "arn:aws:iam::1:role/rig");
    rig.workdir.set_env("AWS_REGION", "us-east-1");
    rig.check("token-");
    assert!(rig.identity.handed("AssumeRoleWithWebIdentity") > 0);
}

#[test]
fn of_a_role() {
    let role = format!(
        "credentials: {{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY}, \
         role_arn: 'arn:aws:iam::1:role/rig' }}"
    );
    let rig = Rig::new(&role).with_sts();
    rig.check("token-");
    assert!(rig.identity.handed("AssumeRole") > 0);
}

#[test]
fn what_expires_is_renewed_before_it_does() {
    let rig = Rig::new("").with_instance();
    let worker = rig.workdir.start(&["out.yaml"]);
    wait_for("objects with renewed credentials", || {
        rig.workdir.append("in.log", "more\n");
        (rig.proxy.tokens().len() > 1).then_some(())
    });
    worker.stop();
    rig.workdir.drain("out.yaml", 0);
    assert_eq!(rig.store.uploads(), 0);
}

/// A store that finds the token too old: the file has another one by then.
#[test]
fn what_has_expired_is_fetched_anew() {
    let mut rig = Rig::new("");
    rig.write_profile("of-yesterday");
    rig.workdir.set_env("AWS_PROFILE", "archive");
    rig.proxy
        .add(Rule::each(Call::CompleteUpload, Fault::EXPIRED_TOKEN));
    let mut worker = rig.workdir.start(&["out.yaml"]);
    worker.wait_for_stderr("ExpiredToken");
    rig.write_profile("of-today");
    rig.proxy.heal();
    wait_for("the object", || {
        (!rig.store.keys().is_empty()).then_some(())
    });
    worker.stop();
    assert!(rig.proxy.tokens().contains("of-today"));
    assert_eq!(rig.store.uploads(), 0);
}

#[test]
fn none_at_all() {
    let mut rig = Rig::new("");
    rig.workdir.set_env("AWS_EC2_METADATA_DISABLED", "true");
    let told = [
        "cannot list the uploads of s3://bucket/",
        "neither environment, profile, web identity, container nor instance has credentials",
        "set `credentials`",
    ];
    rig.workdir.drain("out.yaml", 1).expect_stderr(&told);
}
