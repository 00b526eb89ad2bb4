use tasker::StepFailure;

#[derive(StepFailure)]
union Busy {
    #[allow(dead_code)]
    a: u8,
}

fn main() {}
