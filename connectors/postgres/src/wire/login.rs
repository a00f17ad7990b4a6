//! From an address to a session that is ready: TLS, start-up, and who one is.

use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use towpath_sdk::{Error, Result};

use super::server_error::{ServerError, classed};
use super::stream::Stream;
use super::{Address, Host, Purpose, Session, SslMode};

const DOING: &str = "connect to";

/// How values come in text form, whatever the role's or database's own settings are.
const SETTINGS: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
];

pub(super) async fn connect(address: &Address, purpose: Purpose) -> Result<Session> {
    let stream = open(address).await?;
    let mut session = Session::new(stream, address.to_string());
    let mut parameters = vec![
        ("user", &*address.user),
        ("database", &*address.database),
        ("application_name", "towpath"),
    ];
    parameters.extend(SETTINGS);
    if purpose == Purpose::Replication {
        parameters.push(("replication", "database"));
    }
    let mut startup = BytesMut::new();
    frontend::startup_message(parameters, &mut startup).map_err(|error| session.refuse(error))?;
    session.send(&startup).await?;
    session.log_in(address).await?;
    Ok(session)
}

async fn open(address: &Address) -> Result<Stream> {
    let lost = |error: std::io::Error| {
        Error::transient(DOING, address)
            .because(error)
            .remedy("see whether the server runs there")
    };
    let (host, port) = match &address.host {
        Host::Unix(path) => {
            return UnixStream::connect(path)
                .await
                .map(Stream::Unix)
                .map_err(lost);
        }
        Host::Tcp(host, port) => (host, *port),
    };
    let mut tcp = TcpStream::connect((&**host, port)).await.map_err(lost)?;
    tcp.set_nodelay(true).map_err(lost)?;
    if address.ssl_mode == SslMode::Disable {
        return Ok(Stream::Tcp(tcp));
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request).await.map_err(lost)?;
    match (tcp.read_u8().await.map_err(lost)?, address.ssl_mode) {
        (b'S', _) => {}
        (_, SslMode::Prefer) => return Ok(Stream::Tcp(tcp)),
        _ => {
            return Err(Error::configuration(DOING, address)
                .because("the server does not speak TLS")
                .remedy("set `sslmode: disable`, or `ssl = on` at the server"));
        }
    }
    let config = tls(address).map_err(|cause| {
        Error::configuration("read the certificates for", address).because(cause)
    })?;
    let name = ServerName::try_from(host.clone());
    let name = name.map_err(|error| Error::configuration(DOING, address).because(error))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await;
    let stream = stream.map_err(|error| {
        let refused = matches!(error.kind(), std::io::ErrorKind::InvalidData);
        match refused {
            true => Error::configuration(DOING, address)
                .because(error)
                .remedy("mend the server's certificate, `sslrootcert`, or `sslmode`"),
            false => lost(error),
        }
    })?;
    Ok(Stream::Tls(Box::new(stream)))
}

fn tls(
    address: &Address,
) -> std::result::Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    match &address.ssl_root_cert {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            for certificate in certificates {
                roots.add(certificate?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let verifier: Arc<dyn ServerCertVerifier> = match address.ssl_mode {
        SslMode::VerifyFull => {
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build()?
        }
        // As libpq: with a file of authorities, `require` looks at them.
        SslMode::VerifyCa => Arc::new(Lenient {
            provider: provider.clone(),
            roots: Some(roots),
        }),
        SslMode::Require if address.ssl_root_cert.is_some() => Arc::new(Lenient {
            provider: provider.clone(),
            roots: Some(roots),
        }),
        _ => Arc::new(Lenient {
            provider: provider.clone(),
            roots: None,
        }),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Takes a certificate for whatever host it is: of a known authority, or of anyone.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                between,
                now,
                algorithms,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What the server asks for (PostgreSQL manual, "Message Formats", Authentication...).
enum Wanted {
    Nothing,
    Password,
    Md5([u8; 4]),
    Sasl(bool),
    SaslContinue(Vec<u8>),
    SaslFinal(Vec<u8>),
    Other(u32),
}

impl Session {
    fn refuse(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::configuration(DOING, self.place()).because(cause)
    }

    async fn log_in(&mut self, address: &Address) -> Result<()> {
        let password = address
            .password
            .as_ref()
            .map(|secret| secret.reveal().as_bytes());
        let needed = |session: &Self| {
            let missing = "it wants a password and none is given";
            password.ok_or_else(|| session.refuse(missing).remedy("set `password`"))
        };
        let mut scram = None;
        loop {
            let Some(message) = self.message()? else {
                self.fill().await?;
                continue;
            };
            let wanted = match message.kind {
                b'R' => wanted(message.body),
                b'E' => {
                    let error = ServerError::parse(message.body);
                    return Err(classed(error, DOING, self.place()));
                }
                b'Z' => return Ok(()),
                _ => continue,
            };
            let mut answer = BytesMut::new();
            match wanted {
                Wanted::Nothing => continue,
                Wanted::Password => frontend::password_message(needed(self)?, &mut answer)
                    .map_err(|error| self.refuse(error))?,
                Wanted::Md5(salt) => {
                    let hash = md5_hash(address.user.as_bytes(), needed(self)?, salt);
                    frontend::password_message(hash.as_bytes(), &mut answer)
                        .map_err(|error| self.refuse(error))?;
                }
                Wanted::Sasl(true) => {
                    let begun = ScramSha256::new(needed(self)?, ChannelBinding::unsupported());
                    let begun = scram.insert(begun);
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut answer)
                        .map_err(|error| self.refuse(error))?;
                }
                Wanted::SaslContinue(data) => {
                    let begun = scram
                        .as_mut()
                        .ok_or_else(|| self.refuse("SCRAM out of turn"))?;
                    begun.update(&data).map_err(|error| self.refuse(error))?;
                    frontend::sasl_response(begun.message(), &mut answer)
                        .map_err(|error| self.refuse(error))?;
                }
                Wanted::SaslFinal(data) => {
                    let begun = scram
                        .as_mut()
                        .ok_or_else(|| self.refuse("SCRAM out of turn"))?;
                    begun.finish(&data).map_err(|error| self.refuse(error))?;
                    continue;
                }
                Wanted::Sasl(false) => {
                    return Err(self.refuse("it offers no SASL mechanism but unknown ones"));
                }
                Wanted::Other(kind) => {
                    let cause = format!("it wants authentication of kind {kind}");
                    return Err(self
                        .refuse(cause)
                        .remedy("use scram-sha-256, md5, password or trust in pg_hba.conf"));
                }
            }
            self.send(&answer).await?;
        }
    }
}

fn wanted(body: &[u8]) -> Wanted {
    let Some((kind, rest)) = body.split_first_chunk::<4>() else {
        return Wanted::Other(u32::MAX);
    };
    match u32::from_be_bytes(*kind) {
        0 => Wanted::Nothing,
        3 => Wanted::Password,
        5 => match rest.first_chunk::<4>() {
            Some(salt) => Wanted::Md5(*salt),
            None => Wanted::Other(5),
        },
        10 => Wanted::Sasl(
            rest.split(|byte| *byte == 0)
                .any(|name| name == SCRAM_SHA_256.as_bytes()),
        ),
        11 => Wanted::SaslContinue(rest.to_vec()),
        12 => Wanted::SaslFinal(rest.to_vec()),
        kind => Wanted::Other(kind),
    }
}
