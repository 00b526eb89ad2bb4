use tasker::Route;

#[derive(Route)]
enum Approval {
    #[route("ask_manager", "note_delay")]
    Late,
    #[route("note_delay", "ask_manager")]
    Expensive,
    AskManager,
    #[route("ask_manager")]
    Unsure,
}

fn main() {}
