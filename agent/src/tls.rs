//! Who the agent talks to, and how it makes sure of that.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Uri};

/// How long a connection attempt, TLS included, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A ping this often on an otherwise silent connection: below the 60 s after which proxies and
/// firewalls forget a connection, above the 10 s in which a batch usually proves the line alive.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(45);
/// Without an answer to a ping for this long the connection is given up.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// PEM files for TLS to the collector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsConfig {
    /// Certificates of the authority that signed the collector's certificate.
    pub ca: Option<PathBuf>,
    /// This agent's certificate, when the collector asks for one.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`.
    pub key: Option<PathBuf>,
    /// The name in the collector's certificate where it differs from the URL's host.
    pub server_name: Option<String>,
}

/// Refuses URLs that would send a host's measurements unprotected or to nobody in particular.
///
/// # Errors
/// With the reason and the next step.
pub fn check_url(url: &str, tls: &TlsConfig) -> anyhow::Result<()> {
    let uri: Uri = url
        .parse()
        .with_context(|| format!("collector {url:?} is not a URL like https://host:7443"))?;
    let Some(host) = uri.host() else {
        bail!("collector {url:?} names no host; write it as https://host:7443");
    };
    match uri.scheme_str() {
        Some("http") if is_loopback(host) => Ok(()),
        Some("http") => bail!(
            "collector {url:?}: plain http:// is allowed to loopback only, because {host} would \
             see and could alter everything on the way; write https:// and set [tls] ca"
        ),
        Some("https") if tls.ca.is_none() => bail!(
            "collector {url:?}: set [tls] ca to the certificate of the authority that signed the \
             collector's, so that the agent can tell it from an impostor"
        ),
        Some("https") => Ok(()),
        _ => bail!("collector {url:?} does not start with https:// (or http:// to loopback)"),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Everything about the connection but the connecting. Reads the key files anew, so that a renewed
/// certificate is used from the next connection on.
///
/// # Errors
/// When the URL is refused or a file cannot be read or understood.
pub fn endpoint(url: &str, tls: &TlsConfig) -> anyhow::Result<Endpoint> {
    check_url(url, tls)?;
    let endpoint = Endpoint::from_shared(url.to_string())
        .with_context(|| format!("read collector URL {url:?}"))?
        .user_agent(concat!("hostwell-agent/", env!("CARGO_PKG_VERSION")))
        .context("set user agent")?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        // One stream with one small message at a time: large buffers would only cost memory.
        .buffer_size(Some(4));
    if !url.starts_with("https:") {
        return Ok(endpoint);
    }
    let mut client = ClientTlsConfig::new();
    if let Some(ca) = &tls.ca {
        client = client.ca_certificate(Certificate::from_pem(read(ca, "CERTIFICATE")?));
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        client = client.identity(Identity::from_pem(
            read(cert, "CERTIFICATE")?,
            read(key, "PRIVATE KEY")?,
        ));
    }
    if let Some(name) = &tls.server_name {
        client = client.domain_name(name);
    }
    endpoint
        .tls_config(client)
        .context("use the files of [tls] (each must be PEM; the key must match the certificate)")
}

fn read(path: &Path, what: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("read TLS file {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    // Without this look a file of another kind counts as an authority that signed nobody.
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains(what);
    if !text.lines().any(begins) {
        bail!(
            "TLS file {} holds no {} in PEM form (a line `-----BEGIN … {what}-----`)",
            path.display(),
            what.to_lowercase()
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_reached_without_tls() {
        let none = TlsConfig::default();
        let with_ca = TlsConfig {
            ca: Some("ca.pem".into()),
            ..TlsConfig::default()
        };
        for fine in [
            "http://127.0.0.1:7443",
            "http://localhost:7443",
            "http://[::1]:7443",
            "http://127.8.9.1",
        ] {
            check_url(fine, &none).unwrap_or_else(|e| panic!("{fine}: {e:#}"));
        }
        check_url("https://collector:7443", &with_ca).unwrap();
        for (wrong, part) in [
            ("http://10.0.0.1:7443", "write https:// and set [tls] ca"),
            ("http://localhost.evil.org", "loopback only"),
            ("https://collector:7443", "set [tls] ca"),
            ("collector:7443", "does not start with https://"),
            ("ftp://collector", "does not start with https://"),
            ("", "is not a URL"),
            ("http://", "is not a URL"),
        ] {
            let got = format!("{:#}", check_url(wrong, &none).unwrap_err());
            assert!(got.contains(part), "{wrong}: {got}");
        }
    }

    #[test]
    fn a_missing_key_file_is_named() {
        let tls = TlsConfig {
            ca: Some("/nowhere/ca.pem".into()),
            ..TlsConfig::default()
        };
        let got = format!(
            "{:#}",
            endpoint("https://collector:7443", &tls).unwrap_err()
        );
        assert!(got.contains("read TLS file /nowhere/ca.pem"), "{got}");
    }

    #[test]
    fn a_file_of_another_kind_is_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n").unwrap();
        let tls = TlsConfig {
            ca: Some(path),
            ..TlsConfig::default()
        };
        let got = format!(
            "{:#}",
            endpoint("https://collector:7443", &tls).unwrap_err()
        );
        assert!(got.contains("holds no certificate in PEM form"), "{got}");
    }
}
