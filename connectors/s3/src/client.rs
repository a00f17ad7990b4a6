//! The bucket as the rest of the crate sees it, on the AWS SDK.
//!
//! **Retries.** A call that may pass is made up to [`ATTEMPTS`] times, with exponential backoff and
//! jitter, as long as the client's quota of retries lasts, which calls that succeed fill up again.
//! What is left then is the runtime's, which opens the task anew. Every call is right to repeat;
//! `complete` of an upload tells by its answer that it was done before. The SDK's *adaptive* mode is
//! not used: it limits the client's rate by the rate before, which of a client that makes a call now
//! and then is next to nothing, and after a single 503 held each retry up for 10 seconds.
//!
//! **Credentials** are the SDK's: they are refreshed before they expire. TLS is rustls on ring,
//! with the certificates of the system.

mod failure;
mod multipart;
mod objects;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials as StaticCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use towpath_sdk::{Error, Result};

use crate::bucket::{Bucket, Checksum};

pub use failure::Failure;
pub use multipart::{Multipart, NewObject};
pub use objects::{Body, Listed, Page};

/// A call is made so often before it has failed.
const ATTEMPTS: u32 = 4;
/// The longest first pause; each next one may be twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// To make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where stores without regions believe to be.
const REGION_OF_OTHERS: &str = "us-east-1";
/// Under which name a role is assumed.
const SESSION_NAME: &str = "towpath";

/// A client of one bucket. Clones share connections, credentials and backoff.
#[derive(Clone, Debug)]
pub struct Client {
    s3: aws_sdk_s3::Client,
    bucket: String,
    /// When the store is not Amazon's.
    endpoint: Option<String>,
    always_checksum: bool,
    /// The session token is one of the options: nobody renews it.
    fixed_token: bool,
}

impl Client {
    /// Finds out region and credentials; makes no call to the bucket yet.
    ///
    /// # Errors
    /// Configuration, when no region is known.
    pub async fn new(bucket: &Bucket) -> Result<Self> {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(bucket.timeout)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(FIRST_BACKOFF);
        let mut machine = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(retries);
        let others = bucket
            .endpoint
            .as_ref()
            .map(|_| REGION_OF_OTHERS.to_owned());
        if let Some(region) = bucket.region.clone().or(others) {
            machine = machine.region(Region::new(region));
        }
        let given = bucket.credentials.as_ref();
        let key = given.and_then(|given| given.access_key.as_ref().zip(given.secret_key.as_ref()));
        let token = given.and_then(|given| given.session_token.as_ref());
        if let Some((id, secret)) = key {
            let token = token.map(|token| token.reveal().to_owned());
            let options = StaticCredentials::new(id, secret.reveal(), token, None, "options");
            machine = machine.credentials_provider(options);
        }
        let machine = machine.load().await;
        if machine.region().is_none() {
            return Err(Error::configuration(
                "find the region of",
                format!("s3://{}", bucket.name),
            )
            .because("neither environment, profile nor instance names one")
            .remedy("set `region`"));
        }
        let always_checksum = bucket.checksum == Checksum::Always;
        let (request, response) = match always_checksum {
            true => (
                RequestChecksumCalculation::WhenSupported,
                ResponseChecksumValidation::WhenSupported,
            ),
            false => (
                RequestChecksumCalculation::WhenRequired,
                ResponseChecksumValidation::WhenRequired,
            ),
        };
        let mut config = aws_sdk_s3::config::Builder::from(&machine)
            .request_checksum_calculation(request)
            .response_checksum_validation(response)
            .force_path_style(bucket.path_style.unwrap_or(bucket.endpoint.is_some()));
        if let Some(endpoint) = &bucket.endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(role) = given.and_then(|given| given.role_arn.as_ref()) {
            let role = AssumeRoleProvider::builder(role)
                .session_name(SESSION_NAME)
                .configure(&machine);
            config = config.credentials_provider(role.build().await);
        }
        Ok(Self {
            s3: aws_sdk_s3::Client::from_conf(config.build()),
            bucket: bucket.name.clone(),
            endpoint: bucket.endpoint.clone(),
            always_checksum,
            fixed_token: token.is_some(),
        })
    }

    /// What `key` is called in messages.
    fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}
