//! A certificate authority for tests: makes its own root and what it signs, as PEM files.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A root that signs for this test only.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// PEM file of the root certificate.
    pub root: PathBuf,
}

/// A certificate and its key, PEM files.
pub struct Identity {
    /// Certificate.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes a root named `name` and writes its certificate into `folder`.
    pub fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let root = folder.join(format!("{name}.pem"));
        std::fs::write(&root, certificate.pem()).unwrap();
        Authority {
            issuer: Issuer::new(params, key),
            folder: folder.to_owned(),
            root,
        }
    }

    /// Signs a certificate for these host names and addresses, good for servers and for clients.
    pub fn sign(&self, name: &str, subjects: &[&str]) -> Identity {
        let subjects: Vec<String> = subjects.iter().map(|s| (*s).to_owned()).collect();
        let mut params = CertificateParams::new(subjects).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            cert: self.folder.join(format!("{name}.crt")),
            key: self.folder.join(format!("{name}.key")),
        };
        std::fs::write(&identity.cert, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}
