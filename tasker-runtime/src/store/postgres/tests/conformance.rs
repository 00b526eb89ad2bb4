use super::server::{is_there, open};

crate::store_conformance!(open if super::is_there());
