//! "Did you mean": the known word that is most like an unknown one.

/// Words longer than this are not compared: nobody mistypes them by a letter or two.
const LONGEST: usize = 300;

/// The candidate that is most like `word`, if one is like it enough; the first of equals.
///
/// ```
/// use tasker_types::template::did_you_mean;
///
/// assert_eq!(did_you_mean("validate_ordr", ["reserve", "validate_order"]), Some("validate_order"));
/// assert_eq!(did_you_mean("namespace", ["name", "namespace_name"]), Some("namespace_name"));
/// assert_eq!(did_you_mean("colour", ["name", "steps"]), None);
/// ```
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let Some(distance) = likeness(&folded, &fold(candidate)) else {
            continue;
        };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower case with one kind of separator, so that `maxAttempts` is like `max_attempts`.
fn fold(word: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(word.len());
    for c in word.chars() {
        if c.is_uppercase() && out.last().is_some_and(|&before| before != '_') {
            out.push('_');
        }
        match c {
            '-' | ' ' | '.' => out.push('_'),
            ':' => {}
            _ => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// How unlike the two are, or `None` where one cannot be meant for the other: more than a third of
/// the letters differ, and neither begins with the other.
fn likeness(word: &[char], known: &[char]) -> Option<usize> {
    let allowed = word.len().max(known.len()).div_ceil(3).min(4);
    if word.len().abs_diff(known.len()) <= allowed {
        let distance = edits(word, known);
        if distance <= allowed && distance < word.len().max(known.len()) {
            return Some(distance);
        }
    }
    let (short, long) = if word.len() < known.len() { (word, known) } else { (known, word) };
    let word_within = long.get(short.len()) == Some(&'_') && short.len() >= 4;
    (word_within && long.starts_with(short)).then_some(allowed + 1)
}

/// The least number of letters put in, left out, changed, or swapped with their neighbour that
/// makes one word of the other (optimal string alignment distance).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_counts_as_one_edit() {
        let edits = |a: &str, b: &str| edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(edits("nmae", "name"), 1);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn spelling_styles_are_alike() {
        let keys = ["retryable", "max_attempts", "backoff"];
        assert_eq!(did_you_mean("maxAttempts", keys), Some("max_attempts"));
        assert_eq!(did_you_mean("max-attempts", keys), Some("max_attempts"));
        assert_eq!(did_you_mean("Backoff", keys), Some("backoff"));
    }

    #[test]
    fn nothing_is_suggested_for_what_is_far_off() {
        assert_eq!(did_you_mean("a", ["b"]), None);
        assert_eq!(did_you_mean("", ["name"]), None);
        assert_eq!(did_you_mean(&"x".repeat(1 << 20), ["x"]), None);
    }
}
