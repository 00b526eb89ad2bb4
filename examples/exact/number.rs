//! Whole numbers of any size, for results that outgrow 64 bits.

use std::ops::Mul;

use num_bigint::BigUint;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A whole number that is never rounded and never overflows: in JSON a number where that is exact, else its digits as
/// text. (A JSON number beyond 64 bits becomes a float in most readers.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exact(BigUint);

impl Exact {
    /// The number times itself.
    pub(crate) fn squared(&self) -> Self {
        Self(&self.0 * &self.0)
    }

    /// Whether half of it is whole.
    pub(crate) fn is_even(&self) -> bool {
        !self.0.bit(0)
    }
}

impl Mul for Exact {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(&self.0) {
            Ok(small) => serializer.serialize_u64(small),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a whole number, or its digits as text")]
        enum Written {
            Number(u64),
            Digits(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number.into())),
            Written::Digits(digits) => digits.parse().map(Self).map_err(D::Error::custom),
        }
    }
}
