//! The header `Retry-After`: when a service wants to be asked again.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The delay that an answer asks for, in either form of RFC 9110, section 10.2.3: seconds, or a date.
///
/// A date is counted from the answer's own `Date` where it has one, so that the clocks of the two machines may differ;
/// else from `now`. One that is over asks for nothing, and what is neither form is as if it were not there.
pub(super) fn delay(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = date(text)?;
    let from = date_of(headers, DATE).or_else(|| Timestamp::try_from(now).ok())?;
    Duration::try_from(until.duration_since(from)).ok().filter(|delay| !delay.is_zero())
}

fn date_of(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    date(headers.get(name)?.to_str().ok()?.trim())
}

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT`; the two older forms have not been sent since 1999.
fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after: &str, date: Option<&str>, now_seconds: u64) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().expect("it is a value"));
        if let Some(date) = date {
            headers.insert(DATE, date.parse().expect("it is a value"));
        }
        delay(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(now_seconds))
    }

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn seconds_are_taken_as_they_stand() {
        assert_eq!(asked("120", None, 0), seconds(120));
        assert_eq!(asked(" 0 ", None, 0), seconds(0));
        assert_eq!(asked("99999999999999999999999", None, 0), seconds(u64::MAX));
    }

    #[test]
    fn a_date_is_counted_from_the_answers_own() {
        let until = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(asked(until, Some("Sun, 06 Nov 1994 08:49:07 GMT"), 0), seconds(30));
        assert_eq!(asked(until, None, 784_111_777 - 45), seconds(45));
        assert_eq!(asked(until, Some("Sun, 06 Nov 1994 08:50:00 GMT"), 0), None, "it is over");
    }

    #[test]
    fn what_is_neither_form_is_as_if_it_were_not_there() {
        for text in ["", "soon", "-5", "1.5", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994"] {
            assert_eq!(asked(text, None, 0), None, "{text}");
        }
    }
}
