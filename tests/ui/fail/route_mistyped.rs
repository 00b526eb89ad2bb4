use tasker::Route;

#[derive(Route)]
#[route("ship_order")]
enum OnTheEnum {
    One,
}

#[derive(Route)]
enum Approval {
    #[route(ship_order)]
    Word,
    #[route(step = "ship_order")]
    Key,
    #[route(5)]
    Number,
    #[route("Ship-Order", "shop.ship_order")]
    Names,
    #[route]
    Bare,
    #[route = "ship_order"]
    Equals,
    #[route("ship_order", "ship_order")]
    Twice,
    #[route("one")]
    #[route("two")]
    TwoLists,
    #[route(crate = tasker)]
    Crate,
    日本,
}

fn main() {}
