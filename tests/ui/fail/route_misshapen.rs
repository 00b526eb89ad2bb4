use tasker::Route;

#[derive(Route)]
struct Unit;

#[derive(Route)]
union Both {
    a: u8,
    b: i8,
}

#[derive(Route)]
enum Never {}

#[derive(Route)]
enum Generic<T> {
    One,
    Other(T),
}

#[derive(Route)]
enum Fields {
    One(u8),
    Other { why: String },
    Third,
}

fn main() {}
