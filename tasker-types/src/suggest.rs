//! "Did you mean": the known word that is nearest to a mistyped one.

/// Words longer than this are not compared: nobody mistypes them by a letter or two.
const LONGEST: usize = 300;

/// The candidate that `word` was most likely meant to be, if one is near enough to be worth saying; the first of equals.
///
/// Spelling styles make no difference (`maxAttempts`, `max-attempts`), and a word of which only the beginning is given
/// is near too.
///
/// ```
/// use tasker_types::suggest::nearest;
///
/// assert_eq!(nearest("nmae", ["name", "alias"]), Some("name"));
/// assert_eq!(nearest("maxAttempt", ["max_attempts", "max_losses"]), Some("max_attempts"));
/// assert_eq!(nearest("timeout", ["name", "timeout_seconds"]), Some("timeout_seconds"));
/// assert_eq!(nearest("colour", ["name", "alias"]), None);
/// ```
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| Some((unlikeness(&folded, &fold(candidate))?, candidate)))
        .min_by_key(|&(unlikeness, _)| unlikeness)
        .map(|(_, candidate)| candidate)
}

/// Lower case with one kind of separator.
fn fold(word: &str) -> Vec<char> {
    let mut folded = Vec::with_capacity(word.len() + 2);
    for letter in word.chars() {
        if letter.is_uppercase() && folded.last().is_some_and(|&before| before != '_') {
            folded.push('_');
        }
        match letter {
            '-' | ' ' | '.' => folded.push('_'),
            _ => folded.extend(letter.to_lowercase()),
        }
    }
    folded
}

/// How unlike two folded words are, or `None` where one was hardly meant to be the other: more than a third of the
/// letters differ, and neither is the other's first words.
fn unlikeness(word: &[char], known: &[char]) -> Option<usize> {
    let limit = (word.len() / 3).max(1);
    if word.len().abs_diff(known.len()) <= limit {
        let distance = distance(word, known);
        if distance <= limit && distance < word.len() {
            return Some(distance);
        }
    }
    let (short, long) = if word.len() < known.len() { (word, known) } else { (known, word) };
    let first_words = short.len() >= 3 && long.starts_with(short) && long.get(short.len()) == Some(&'_');
    first_words.then_some(limit + 1)
}

/// How many letters must be inserted, removed, replaced, or swapped with their neighbour, to turn `a` into `b`
/// (the optimal string alignment distance).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &letter) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &other) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(letter != other);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && letter == b[j - 1] && a[i - 1] == other {
                best = best.min(two_above[j - 1] + 1);
            }
            row.push(best);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_edits_and_swaps() {
        let distance = |a: &str, b: &str| distance(&fold(a), &fold(b));
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("exponental", "exponential"), 1);
    }

    #[test]
    fn the_nearest_of_several_is_suggested() {
        assert_eq!(nearest("max_attempt", ["max_attempts", "max", "base"]), Some("max_attempts"));
        assert_eq!(nearest("Backoff", ["retryable", "backoff"]), Some("backoff"));
        assert_eq!(nearest("namespace", ["name", "namespace_name"]), Some("namespace_name"));
    }

    #[test]
    fn nothing_is_suggested_for_what_is_far_off() {
        assert_eq!(nearest("x", ["a_long_word"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("nose", ["name"]), None);
        assert_eq!(nearest("", ["name", ""]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["x"]), None);
    }
}
