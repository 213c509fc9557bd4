//! Identities: 128 random bits each, written as 32 lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

/// Who a host is. Made once by the agent and kept in its state folder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub [u8; 16]);

/// Which spool a batch comes from: new whenever the spool is new, emptied or damaged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpoolId(pub [u8; 16]);

/// The text or bytes are not a 128-bit identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits, got {got:?}")]
pub struct IdError {
    got: String,
}

fn parse(text: &str) -> Result<[u8; 16], IdError> {
    let wrong = || IdError {
        got: text.chars().take(64).collect(),
    };
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(wrong());
    }
    let mut bytes = [0u8; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

macro_rules! identity {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }
        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; 16]>::try_from(bytes).map(Self).map_err(|_| IdError {
                    got: format!("{} bytes", bytes.len()),
                })
            }
        }
    };
}

identity!(HostId);
identity!(SpoolId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_text_and_bytes() {
        let id = HostId([0xab; 16]);
        assert_eq!(id.to_string().parse::<HostId>(), Ok(id));
        assert_eq!(SpoolId::try_from(&id.0[..]), Ok(SpoolId([0xab; 16])));
    }

    #[test]
    fn text_that_is_no_identity_is_refused() {
        for wrong in [
            "",
            "ab",
            &"AB".repeat(16),
            &"zz".repeat(16),
            &"é".repeat(16),
        ] {
            assert!(wrong.parse::<HostId>().is_err(), "{wrong}");
        }
        assert!(SpoolId::try_from(&[0u8; 15][..]).is_err());
    }
}
