use super::file::open;

crate::store_conformance!(open);
