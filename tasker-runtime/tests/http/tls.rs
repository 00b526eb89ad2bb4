//! Certificates: those that the operating system knows are believed, and no others. Each case is a process of its own, since
//! the system's certificates are found by its environment.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tasker_runtime::http::{ApiError, ApiHandler};

use crate::server::{Does, Service};

const URL: &str = "TASKER_HTTP_TESTS_URL";
/// Made with `openssl req -x509 -newkey ec -days 36500`. Its key was thrown away: nothing else can be signed by it.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/tls/authority.pem");
const SERVICE: &[u8] = include_bytes!("tls/service.pem");
const SERVICE_KEY: &[u8] = include_bytes!("tls/service.key");

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

/// What a process that believes the certificates in `file` makes of the service.
fn told(url: &str, file: &Path) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tls::calls_the_service_that_the_environment_names", "--ignored", "--nocapture"]);
    child.env(URL, url).env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
    let output = child.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told = text.split("told: ").nth(1).unwrap_or_else(|| panic!("{text}"));
    told.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "the process that `the_certificates_of_the_system_are_believed_and_no_others` starts"]
async fn calls_the_service_that_the_environment_names() {
    let call =
        async || -> Result<u64, ApiError> { ApiHandler::new(std::env::var(URL).unwrap())?.get("/").await?.json() };
    match call().await {
        Ok(value) => println!("told: {value}"),
        Err(error) => println!("told: {}: {error}", error.code()),
    }
}

// Elsewhere the system has an API of its own for its certificates, and no environment.
#[cfg(target_os = "linux")]
#[test]
fn the_certificates_of_the_system_are_believed_and_no_others() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(told(&format!("https://{}", start()), Path::new(AUTHORITY)), "7");
    let other_name = told(&format!("https://localhost:{}", start().port()), Path::new(AUTHORITY));
    assert!(other_name.starts_with("HTTP_CONNECT: ") && other_name.contains("not valid for name"), "{other_name}");
    let none = told(&format!("https://{}", start()), empty.path());
    assert!(none.starts_with("HTTP_SETTINGS: ") && none.contains("No CA certificates"), "{none}");
    // What is signed by nobody that is known: the authority of this test is not among these.
    let unknown = told(
        &format!("https://{}", start()),
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/tls/service.pem")),
    );
    assert!(unknown.starts_with("HTTP_CONNECT: ") && unknown.contains("invalid peer certificate"), "{unknown}");
    let service = Service::start([Does::Sends("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned())]);
    let speaks_none = told(&format!("https://{}", service.address()), Path::new(AUTHORITY));
    assert!(speaks_none.starts_with("HTTP_CONNECT: "), "{speaks_none}");
    // Where there is no TLS, no certificates are needed.
    let plain = told("http://127.0.0.1:9", empty.path());
    assert!(plain.starts_with("HTTP_CONNECT: ") && plain.contains("refused"), "{plain}");
}
