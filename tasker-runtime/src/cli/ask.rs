//! Asks before something that cannot be taken back, where somebody is there to answer.

use std::io::{BufRead as _, Write as _};

use super::Context;
use super::problem::Problem;
use super::screen::WARN;

impl Context {
    /// Whether the question is answered with yes: by `--yes`, by a person, or because nobody can be asked.
    pub(crate) fn agrees(&self, question: &str) -> Result<bool, Problem> {
        if self.yes || !self.screen.can_ask() {
            return Ok(true);
        }
        let failed = |error: std::io::Error| Problem::new("E316", format!("the question cannot be asked: {error}"));
        let mut screen = anstream::stderr().lock();
        write!(screen, "{WARN}{question}{WARN:#} [y/N] ").and_then(|()| screen.flush()).map_err(failed)?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
