//! Handlers in modules, in functions, from macros; imported together with their types.

mod orders {
    pub(crate) mod validate {
        #[tasker::step_handler]
        pub(crate) async fn validate_order() -> i64 {
            1
        }
    }
    pub(crate) use validate::*;
}

use orders::validate_order;
use tasker::step_handler;

#[step_handler]
async fn by_import(#[dependency(validate_order)] order: i64) -> i64 {
    order
}

#[step_handler]
async fn by_path(#[dependency(self::orders::validate::validate_order)] order: i64) -> i64 {
    order
}

macro_rules! handlers {
    ($($name:ident: $ty:ty = $default:expr),*) => {
        $(
            #[step_handler(alias = "generated")]
            async fn $name(#[input(default = $default)] count: $ty, #[input] label: &str) -> $ty {
                let _ = label;
                count
            }
        )*
    };
}

handlers!(generated: i64 = 3);

fn main() {
    #[step_handler]
    async fn local(#[dependency(generated)] count: i64) -> i64 {
        count
    }
    let _ = local(1);
    let names = tasker::RustStepHandlerRegistry::new().list_handlers();
    assert_eq!(names, ["by_import", "by_path", "generated", "local", "validate_order"]);
}
