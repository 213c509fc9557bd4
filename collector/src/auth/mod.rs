//! Who is at the other end of a connection.
//!
//! Today a certificate is checked against the authority of `[tls] ca` and its fingerprint becomes
//! the connection's [`Identity`]. It is used where two agents claim the same host: one with
//! another certificate cannot push the first aside (see `ingest::live`).
//!
//! The door left open: enrolment will sign a certificate whose identity is bound to one host id in
//! the registry, and roles will say what an identity may ask. Both need only what is here: every
//! request already carries a [`Peer`], and the rooms behind it take the peer as an argument.

use std::fmt;
use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;

mod tls;
pub use tls::{ClientTls, chain_ends_ms, server_tls};

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// Who its certificate says it is; `None` without TLS or without a certificate.
    pub identity: Option<Identity>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{} (certificate {identity})", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// The SHA-256 fingerprint of a checked certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity([u8; 32]);

impl Identity {
    /// The identity of the first certificate of a chain that TLS has already checked.
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Identity> {
        let certificate = chain.first()?;
        // The hash of a cipher suite is the one SHA-256 that is in the program anyway.
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?;
        let digest = suite.common.hash_provider.hash(certificate);
        digest.as_ref().try_into().ok().map(Identity)
    }
}

impl fmt::Display for Identity {
    /// The first eight bytes: enough to tell two apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_sha256_of_the_certificate() {
        let abc = CertificateDer::from(b"abc".to_vec());
        let identity = Identity::of(&[abc]).unwrap();
        assert_eq!(identity.to_string(), "ba7816bf8f01cfea");
        assert_eq!(Identity::of(&[]), None);
    }
}
