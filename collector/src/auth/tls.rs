//! Certificates from PEM files to what the servers and clients need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::config::{ClientCertificates, Tls};

/// Loads the collector's side. `protocols` are offered in the handshake, best first
/// (`h2` for gRPC, `http/1.1` for pages).
///
/// # Errors
/// A file that cannot be read, holds no PEM of its kind, or a key of another certificate.
pub fn server_tls(tls: &Tls, protocols: &[&str]) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("choose TLS versions")?;
    let builder = match &tls.ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca, "tls.ca")? {
                roots
                    .add(certificate)
                    .with_context(|| format!("trust tls.ca {}", ca.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = match tls.client_certificates {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required => verifier,
            };
            builder.with_client_cert_verifier(
                verifier
                    .build()
                    .with_context(|| format!("trust tls.ca {}", ca.display()))?,
            )
        }
    };
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .with_context(|| format!("read tls.key {}", tls.key.display()))?;
    let mut config = builder
        .with_single_cert(certificates(&tls.cert, "tls.cert")?, key)
        .with_context(|| {
            format!(
                "use tls.cert {} with tls.key {}",
                tls.cert.display(),
                tls.key.display()
            )
        })?;
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// When the first certificate of the collector's chain ends, milliseconds since the Unix epoch.
///
/// # Errors
/// A file that cannot be read, or a certificate that cannot be understood.
pub fn chain_ends_ms(tls: &Tls) -> anyhow::Result<i64> {
    let mut ends = Vec::new();
    for certificate in certificates(&tls.cert, "tls.cert")? {
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .with_context(|| format!("understand tls.cert {}", tls.cert.display()))?;
        ends.push(parsed.validity().not_after.timestamp().saturating_mul(1000));
    }
    let first = ends.into_iter().min();
    first.with_context(|| format!("tls.cert {} holds no certificate", tls.cert.display()))
}

fn certificates(path: &Path, key: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("read {key} {}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(reading)?;
    if found.is_empty() {
        anyhow::bail!("{key} {} holds no certificate", path.display());
    }
    Ok(found)
}

/// How an operator's command line trusts a collector and shows itself. PEM files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientTls {
    /// The authority that signed the collector's certificate.
    pub ca: Option<PathBuf>,
    /// Own certificate chain, where the collector wants one.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Name in the collector's certificate, when it differs from the address asked.
    pub name: Option<String>,
}

impl ClientTls {
    /// Loads the files.
    ///
    /// # Errors
    /// A file that cannot be read, no `ca`, or only one of `cert` and `key`.
    pub fn load(&self) -> anyhow::Result<ClientTlsConfig> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("read {}", path.display()))
        };
        let ca = self.ca.as_ref().context(
            "an https:// address needs the authority that signed the collector's certificate: give its PEM file",
        )?;
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => config.identity(Identity::from_pem(read(cert)?, read(key)?)),
            (None, None) => config,
            _ => anyhow::bail!("a certificate and its key come together: one of them is missing"),
        };
        Ok(match &self.name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}
