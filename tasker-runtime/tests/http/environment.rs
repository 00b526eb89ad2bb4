//! What the environment of a process sets: the certificates that the system knows, and proxies. Each case is a process of its
//! own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tasker_runtime::http::{ApiError, ApiHandler};

use crate::server::{Service, answer};

const URL: &str = "TASKER_HTTP_TESTS_URL";
/// Made with `openssl req -x509 -newkey ec -days 36500`. Its key was thrown away: nothing else can be signed by it.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/certificates/authority.pem");
const OTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/certificates/service.pem");
const SERVICE: &[u8] = include_bytes!("certificates/service.pem");
const SERVICE_KEY: &[u8] = include_bytes!("certificates/service.key");

/// A service whose certificate is that of 127.0.0.1, for one connection.
fn start() -> SocketAddr {
    let certificates = vec![CertificateDer::from_pem_slice(SERVICE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(SERVICE_KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(certificates, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // A client that does not believe the certificate goes away here.
        if stream.read(&mut [0; 4096]).is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n7").unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        }
    });
    address
}

/// What a process with this environment makes of the service.
fn told(url: &str, environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "environment::calls_the_service_that_the_environment_names", "--ignored", "--nocapture"]);
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        child.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    let output = child.env(URL, url).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told = text.split("told: ").nth(1).unwrap_or_else(|| panic!("{text}"));
    told.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "the process that `the_certificates_of_the_system_are_believed_and_no_others` starts"]
async fn calls_the_service_that_the_environment_names() {
    let call = async || -> Result<u64, ApiError> {
        let api = ApiHandler::builder(std::env::var(URL).unwrap()).connect_timeout(Duration::from_secs(1));
        api.build()?.get("/").await?.json()
    };
    match call().await {
        Ok(value) => println!("told: {value}"),
        Err(error) => println!("told: {}: {error}", error.code()),
    }
}

// Elsewhere the system has an API of its own for its certificates, and no environment.
#[cfg(target_os = "linux")]
#[test]
fn the_certificates_of_the_system_are_believed_and_no_others() {
    let told_with = |url: String, file: &str| told(&url, &[("SSL_CERT_FILE", file)]);
    assert_eq!(told_with(format!("https://{}", start()), AUTHORITY), "7");
    let other_name = told_with(format!("https://localhost:{}", start().port()), AUTHORITY);
    assert!(other_name.starts_with("HTTP_CONNECT: ") && other_name.contains("not valid for name"), "{other_name}");
    // A file that is there, and whose certificate has signed nothing.
    let unknown = told_with(format!("https://{}", start()), OTHER);
    assert!(unknown.starts_with("HTTP_CONNECT: ") && unknown.contains("invalid peer certificate"), "{unknown}");
    let none = told_with(format!("https://{}", start()), "/dev/null");
    assert!(none.starts_with("HTTP_SETTINGS: ") && none.contains("No CA certificates"), "{none}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.accept().unwrap().0.write_all(b"220 mail.example ready\r\n").unwrap());
    let speaks_none = told_with(format!("https://{address}"), AUTHORITY);
    assert!(speaks_none.starts_with("HTTP_CONNECT: "), "{speaks_none}");
    // Nobody accepts it: the connection is there, and the handshake never ends.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let never = told_with(format!("https://{}", silent.local_addr().unwrap()), AUTHORITY);
    assert!(never.starts_with("HTTP_TIMEOUT: ") && never.ends_with("no connection in time"), "{never}");
    // Where there is no TLS, no certificates are needed.
    let service = Service::start([answer("200 OK", "", "7")]);
    assert_eq!(told_with(service.url(), "/dev/null"), "7");
}

#[test]
fn proxies_are_those_of_the_environment_and_none_is_before_this_machine() {
    let proxy = Service::start([answer("200 OK", "", "7")]);
    assert_eq!(told("http://service.invalid", &[("HTTP_PROXY", &proxy.url())]), "7");
    assert_eq!(proxy.asked().line, "GET http://service.invalid/");
    let nobody = "http://127.0.0.1:9";
    let service = Service::start([answer("200 OK", "", "7")]);
    assert_eq!(told(&service.url(), &[("HTTP_PROXY", nobody), ("HTTPS_PROXY", nobody), ("ALL_PROXY", nobody)]), "7");
}
