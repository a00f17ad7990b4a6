//! Where a server is and as whom to log in: the options `url`, or `host`, `port` and so on.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use towpath_sdk::choice;
use towpath_sdk::config::Secret;

/// The port of a server that does not say.
const PORT: u16 = 5432;

choice! {
    /// Whether the connection is encrypted and the server known, as libpq means it.
    pub enum SslMode {
        /// Never encrypted.
        Disable = "disable",
        /// Encrypted if the server can.
        Prefer = "prefer",
        /// Encrypted; the server may be anyone.
        Require = "require",
        /// Its certificate comes from a known authority.
        VerifyCa = "verify-ca",
        /// And is for this host.
        VerifyFull = "verify-full",
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or address, and a port.
    Tcp(String, u16),
    /// A socket file.
    Unix(PathBuf),
}

/// Where a server is and as whom to log in.
#[derive(Debug, Clone)]
pub struct Address {
    /// Where it listens.
    pub host: Host,
    /// The role.
    pub user: String,
    /// Of the role.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// Encryption.
    pub ssl_mode: SslMode,
    /// The file with the certificates of the authorities, in place of the machine's.
    pub ssl_root_cert: Option<PathBuf>,
}

/// The parts of an address, as they are given; what is missing has a default.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// A name, an address, or the folder of a socket file.
    pub host: Option<String>,
    /// 5432 unless given.
    pub port: Option<u16>,
    /// Required.
    pub user: Option<String>,
    /// Of the user.
    pub password: Option<Secret>,
    /// As the user is called unless given.
    pub database: Option<String>,
    /// `prefer` unless given.
    pub ssl_mode: Option<SslMode>,
    /// Of the authorities.
    pub ssl_root_cert: Option<PathBuf>,
}

impl Parts {
    /// Takes `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...` apart (PostgreSQL manual,
    /// "Connection URIs"). An error's text never holds the password.
    pub fn of_url(url: &str) -> Result<Self, String> {
        let shape = "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE";
        let rest = url.strip_prefix("postgresql://");
        let rest = rest.or_else(|| url.strip_prefix("postgres://"));
        let (rest, query) = split(rest.ok_or(shape)?, '?');
        let (authority, database) = split(rest, '/');
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let mut parts = Self {
            database: database
                .filter(|name| !name.is_empty())
                .map(decoded)
                .transpose()?,
            ..Self::default()
        };
        if let Some((user, password)) = login.map(|login| split(login, ':')) {
            parts.user = Some(decoded(user)?);
            parts.password = password.map(decoded).transpose()?.map(Secret::new);
        }
        // An IPv6 address stands in brackets.
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, behind)) => (address, behind.strip_prefix(':')),
            None => split(host, ':'),
        };
        if host.contains(',') {
            return Err("more than one host is not supported".to_owned());
        }
        parts.host = Some(decoded(host)?).filter(|host| !host.is_empty());
        let read_port = |port: &str| port.parse().map_err(|_| format!("no port: {port}"));
        parts.port = port.map(read_port).transpose()?;
        for parameter in query
            .unwrap_or("")
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (name, value) = split(parameter, '=');
            let value = decoded(value.unwrap_or(""))?;
            match name {
                "host" => parts.host = Some(value),
                "port" => parts.port = Some(read_port(&value)?),
                "user" => parts.user = Some(value),
                "password" => parts.password = Some(Secret::new(value)),
                "dbname" => parts.database = Some(value),
                "sslmode" => parts.ssl_mode = Some(ssl_mode(&value)?),
                "sslrootcert" => parts.ssl_root_cert = Some(value.into()),
                _ => return Err(format!("unknown parameter {name:?}")),
            }
        }
        Ok(parts)
    }

    /// The address, or what is missing.
    pub fn address(self) -> Result<Address, &'static str> {
        let host = self.host.unwrap_or_else(|| "localhost".to_owned());
        let port = self.port.unwrap_or(PORT);
        let host = match host.starts_with('/') {
            true => Host::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}"))),
            false => Host::Tcp(host, port),
        };
        let user = self.user.filter(|user| !user.is_empty());
        let user = user.ok_or("expected a user")?;
        Ok(Address {
            host,
            database: self.database.unwrap_or_else(|| user.clone()),
            user,
            password: self.password,
            ssl_mode: self.ssl_mode.unwrap_or(SslMode::Prefer),
            ssl_root_cert: self.ssl_root_cert,
        })
    }
}

impl fmt::Display for Address {
    /// `database at host:port as user`: never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at ", self.database)?;
        match &self.host {
            Host::Tcp(host, port) => write!(f, "{host}:{port}")?,
            Host::Unix(path) => write!(f, "{}", path.display())?,
        }
        write!(f, " as {}", self.user)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "what is percent-encoded in it is not UTF-8")?;
    match decoded.contains('\0') {
        true => Err("a NUL byte".to_owned()),
        false => Ok(decoded.into_owned()),
    }
}

fn ssl_mode(word: &str) -> Result<SslMode, String> {
    Ok(match word {
        "disable" => SslMode::Disable,
        "allow" | "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return Err(format!("unknown sslmode {word:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Parts::of_url(url).unwrap().address().unwrap()
    }

    #[test]
    fn urls_are_taken_apart_as_libpq_does() {
        let full = address("postgres://us%40er:p%2Fw@db.example:5433/shop?sslmode=verify-full");
        assert_eq!(full.host, Host::Tcp("db.example".to_owned(), 5433));
        assert_eq!((&*full.user, &*full.database), ("us@er", "shop"));
        assert_eq!(full.password.unwrap().reveal(), "p/w");
        assert_eq!(full.ssl_mode, SslMode::VerifyFull);
        let least = address("postgresql://me@");
        assert_eq!(least.to_string(), "me at localhost:5432 as me");
        let six = address("postgres://u@[::1]:5/d");
        assert_eq!(six.host, Host::Tcp("::1".to_owned(), 5));
        let socket = address("postgres:///d?host=/run/pg&user=u");
        assert_eq!(socket.host, Host::Unix("/run/pg/.s.PGSQL.5432".into()));
    }

    #[test]
    fn what_is_no_url_is_said() {
        for (url, told) in [
            ("mysql://a@b/c", "expected postgres://"),
            ("postgres://a@b:x/c", "no port: x"),
            ("postgres://a@b,c/d", "more than one host"),
            ("postgres://a@b/c?ssl=1", "unknown parameter \"ssl\""),
            ("postgres://a@b/c?sslmode=yes", "unknown sslmode"),
        ] {
            let error = Parts::of_url(url).unwrap_err();
            assert!(error.contains(told), "{url}: {error}");
        }
        let nobody = Parts::of_url("postgres://db/shop").unwrap().address();
        assert_eq!(nobody.unwrap_err(), "expected a user");
    }
}
