use super::MemoryStore;

async fn open() -> (MemoryStore, ()) {
    (MemoryStore::new(), ())
}

crate::store_conformance!(open);
