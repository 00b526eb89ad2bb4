//! The client under an [`ApiHandler`](super::ApiHandler): its TLS, its limits, and what it never does by itself.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tasker_types::StepError;

use super::address::Address;

/// A connection that nobody has used for so long is closed. Services close theirs after about a minute; this is earlier, so
/// that a request does not meet a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Limits {
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
}

/// A client for the service at `address`.
///
/// - It follows no redirect: one of a write would come as a read without its body (301, 302, 303) or be sent
///   twice (307, 308), and one to elsewhere would take the idempotency key, and what was asked, to a service that nobody named.
/// - Certificates are checked by the operating system, which knows those of the company, too; none is asked for where the
///   address is `http://`, so that a container without any certificates does.
/// - Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`), and none is between this machine and itself.
pub(super) fn client(address: &Address, limits: &Limits, headers: HeaderMap) -> Result<Client, String> {
    let tls = tls(address.is_https()).map_err(|error| format!("TLS: {error}"))?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(limits.connect_timeout)
        .timeout(limits.timeout)
        .pool_idle_timeout(IDLE_MAX)
        .user_agent(concat!("tasker/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers);
    let builder = if address.is_loopback() { ClientBuilder::no_proxy(builder) } else { builder };
    builder.build().map_err(|error| StepError::chain(&error.without_url()))
}

/// A provider of its own: a library never installs the one of the whole process, and reqwest panics where there is none.
fn tls(is_needed: bool) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    if is_needed {
        Ok(builder.with_platform_verifier()?.with_no_client_auth())
    } else {
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}
