//! Where a service is, and that a path never leads out of it.

use reqwest::Url;
use reqwest::header::HeaderValue;

/// The address that all paths of a service begin with.
#[derive(Debug, Clone)]
pub(super) struct Address(Url);

impl Address {
    /// Reads `base_url`, or says what is wrong with it, without its text: that may hold a password.
    pub(super) fn parse(base_url: &str) -> Result<Self, String> {
        let url = Url::parse(base_url.trim()).map_err(|error| format!("it is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("it begins with `{}:`; write `https://..` or `http://..`", url.scheme()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a `?` or a `#`; those belong to the path of a call".to_owned());
        }
        Ok(Self(url))
    }

    /// The URL of `path`, which may have a query.
    ///
    /// A path is often put together from the data of a task: whatever stands in it, the call goes to this service, below
    /// the path of its address.
    pub(super) fn at(&self, path: &str) -> Result<Url, &'static str> {
        if path.chars().any(|c| c.is_control() || c == '\\') {
            return Err("it has a backslash or a control character");
        }
        if path.contains('#') {
            return Err("it has a `#`: write `%23`");
        }
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split('/').any(is_dots) {
            return Err("it has a segment `.` or `..`");
        }
        let mut url = self.0.clone();
        if !path.is_empty() {
            let below = self.0.path().trim_end_matches('/');
            url.set_path(&format!("{below}/{}", path.strip_prefix('/').unwrap_or(path)));
        }
        url.set_query(query);
        Ok(url)
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether the service is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.0)
    }

    /// Where an answer that sends elsewhere points to.
    pub(super) fn shown_location(from: &Url, location: &HeaderValue) -> Option<String> {
        from.join(location.to_str().ok()?).ok().map(|url| shown(&url))
    }
}

/// A URL as it may be told: without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Refused only for URLs that cannot have a user at all.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str, path: &str) -> Result<String, &'static str> {
        Address::parse(base).expect("it is an address").at(path).map(String::from)
    }

    #[test]
    fn a_path_is_put_below_the_address() {
        assert_eq!(at("https://api.example", "/orders/7").unwrap(), "https://api.example/orders/7");
        assert_eq!(
            at("https://api.example/v1/", "orders?from=1&to=2").unwrap(),
            "https://api.example/v1/orders?from=1&to=2"
        );
        assert_eq!(at("https://api.example/v1", "").unwrap(), "https://api.example/v1");
        assert_eq!(at("https://api.example/v1", "/").unwrap(), "https://api.example/v1/");
        assert_eq!(at("https://api.example", "/a b/ü").unwrap(), "https://api.example/a%20b/%C3%BC");
    }

    #[test]
    fn a_path_never_leads_out_of_its_address() {
        for path in ["@evil.example/", "//evil.example/x", "https://evil.example/", ":8080/x", "/orders/%2f..x"] {
            let url = at("https://api.example/v1", path).unwrap();
            assert!(url.starts_with("https://api.example/v1/"), "{path}: {url}");
        }
        for path in [
            "/../admin",
            "/orders/..",
            "/orders/%2E%2e/admin",
            "/orders/.%2e/x",
            "/./x",
            "/a\\..\\b",
            "/.\t./x",
            "/a#b",
        ] {
            assert!(at("https://api.example/v1", path).is_err(), "{path}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_one_is_told_without_its_text() {
        for base in [
            "api.example/hunter2",
            "ftp://hunter2@api.example",
            "https://api.example/?key=hunter2",
            "https://",
            "/hunter2",
        ] {
            let reason = Address::parse(base).expect_err("it cannot be one");
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn a_url_is_told_without_its_secrets() {
        let url =
            Url::parse("https://ada:hunter2@api.example:8443/v1/orders?key=hunter2#hunter2").expect("it is a URL");
        assert_eq!(shown(&url), "https://api.example:8443/v1/orders");
    }

    #[test]
    fn a_service_on_this_machine_is_known() {
        let is_loopback = |base| Address::parse(base).expect("it is an address").is_loopback();
        assert!(
            is_loopback("http://127.0.0.1:80") && is_loopback("http://[::1]/") && is_loopback("http://localhost:1")
        );
        assert!(!is_loopback("http://10.0.0.1") && !is_loopback("http://localhost.example"));
    }
}
