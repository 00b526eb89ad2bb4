//! `register_publisher!`: publishers among the linked ones.

/// Links a [`StepEventPublisher`](crate::event::StepEventPublisher) into the binary: an expression that makes it.
#[macro_export]
macro_rules! register_publisher {
    ($publisher:expr $(,)?) => {
        const _: () = {
            use $crate::event::private as __p;
            __p::inventory::submit! {
                __p::PublisherEntry {
                    make: || __p::Arc::new($publisher),
                    file: __p::core::file!(),
                    line: __p::core::line!(),
                    module: __p::core::module_path!(),
                }
            }
        };
    };
}
