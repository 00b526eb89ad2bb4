//! A handler that is not there is not there at all, and two of one name may exclude each other.

use tasker::step_handler;

#[step_handler]
#[cfg(target_os = "none")]
async fn notify(#[input] missing_type: NoSuchType) -> NoSuchType {
    missing_type
}

#[cfg(not(target_os = "none"))]
#[step_handler]
async fn notify(#[input] customer: i64) -> i64 {
    customer
}

struct ChargeCard;

#[cfg(target_os = "none")]
#[step_handler]
impl ChargeCard {
    fn new() -> NoSuchType {
        NoSuchType
    }

    async fn call(&self) -> NoSuchType {
        NoSuchType
    }
}

fn main() {
    let _ = ChargeCard;
    assert_eq!(tasker::RustStepHandlerRegistry::new().list_handlers(), ["notify"]);
}
