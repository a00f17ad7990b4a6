//! Which bucket, where, and as whom: the options that source and sink have in common.

use std::time::Duration;

use towpath_sdk::config::{Node, Problem, Problems, Secret};
use towpath_sdk::{choice, options};

options! {
    /// Who one is to the store; without it the machine's own: environment, profile, container,
    /// instance.
    pub struct Credentials {
        /// The id of an access key; with `secret_key`.
        pub access_key: Option<String>,
        /// Its secret.
        pub secret_key: Option<Secret>,
        /// The token of temporary credentials, besides both.
        pub session_token: Option<Secret>,
        /// A role to assume, as whoever the rest says.
        pub role_arn: Option<String>,
    }
}

choice! {
    /// When a checksum goes with what is written.
    pub enum Checksum {
        /// Where S3 demands one; stores that know none of them are content.
        WhenRequired = "when_required",
        /// With every object and part (CRC-32); and what is read whole is checked.
        Always = "always",
    }
}

/// The bucket of a source or sink.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `bucket`
    pub name: String,
    /// `region`
    pub region: Option<String>,
    /// `endpoint`
    pub endpoint: Option<String>,
    /// `path_style`
    pub path_style: Option<bool>,
    /// `credentials`
    pub credentials: Option<Credentials>,
    /// `checksum`
    pub checksum: Checksum,
    /// `timeout`
    pub timeout: Duration,
}

impl Bucket {
    /// Reports what no single option can tell, at the options of `node`.
    pub fn check(&self, node: &Node, problems: &mut Problems) {
        if self.name.is_empty() || self.name.contains('/') {
            problems.push(
                Problem::new(node.span_of("bucket"), "expected the name of a bucket")
                    .help("what stands before each key goes into `prefix` or `path`"),
            );
        }
        if let Some(endpoint) = &self.endpoint
            && !["http://", "https://"].iter().any(|scheme| {
                endpoint
                    .strip_prefix(scheme)
                    .is_some_and(|host| !host.is_empty())
            })
        {
            problems.push(
                Problem::new(node.span_of("endpoint"), "expected a URL")
                    .help("such as https://minio.example.com:9000"),
            );
        }
        if self.timeout.is_zero() {
            problems.add(
                node.span_of("timeout"),
                "expected a duration of 1ms or more",
            );
        }
        if let (Some(credentials), Some(node)) = (&self.credentials, node.get("credentials")) {
            credentials.check(node, problems);
        }
    }

    /// What is read or written, without who does it.
    pub fn far_side(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("s3 {} at {endpoint}", self.name),
            None => format!("s3 {}", self.name),
        }
    }
}

impl Credentials {
    fn check(&self, node: &Node, problems: &mut Problems) {
        let (key, secret) = (self.access_key.is_some(), self.secret_key.is_some());
        if key != secret {
            let message = "`access_key` and `secret_key` go together";
            problems.add(node.span, message);
        } else if self.session_token.is_some() && !key {
            let message = "`session_token` goes with `access_key` and `secret_key`";
            problems.add(node.span_of("session_token"), message);
        } else if !key && self.role_arn.is_none() {
            let help = "leave `credentials` out for those of the machine";
            problems.push(Problem::new(node.span, "expected credentials").help(help));
        }
    }
}
