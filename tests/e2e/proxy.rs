//! Behind nginx, configured exactly as the README says: only names, ports and certificates are others.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::process::Command;

use crate::harness::{Process, Sandbox, Server, WEBHOOK_SECRET, eventually, free_port, signed};

const README: &str = include_str!("../../README.md");

/// Nothing here asks the provider.
const NO_PROVIDER: &str = "http://127.0.0.1:9";

/// The configuration between its fences.
fn documented() -> &'static str {
    let begin = README
        .split_once("```nginx\n")
        .expect("a block for nginx")
        .1;
    begin.split_once("```").expect("its end").0
}

/// nginx before a server of Till.
struct Proxied {
    server: Server,
    _nginx: Process,
    port: u16,
    certificate: Vec<u8>,
}

/// Replaces what must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(
        text.contains(from),
        "the README's configuration has no {from:?}"
    );
    text.replace(from, to)
}

impl Proxied {
    async fn start(sandbox: &Sandbox) -> Proxied {
        let (till, port) = (free_port(), free_port());
        let more = [
            ("TILL_HTTP__CLIENT_IP_HEADER", "X-Real-IP"),
            ("TILL_HTTP__ORDERS_PER_MINUTE", "3"),
        ];
        let server = sandbox.serve_for(NO_PROVIDER, till, &more).await;
        let folder = sandbox.folder.join("nginx");
        std::fs::create_dir(&folder).expect("a folder");
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args([
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-keyout",
                "till.key",
                "-out",
                "till.pem",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .current_dir(&folder)
            .output();
        let made = made.await.expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        let certificate = std::fs::read(folder.join("till.pem")).expect("a certificate");
        configure(&folder, till, port);
        let nginx = Path::new("/usr/sbin/nginx");
        let nginx = if nginx.exists() {
            nginx
        } else {
            Path::new("nginx")
        };
        let mut command = Command::new(nginx);
        let folder = folder.to_str().expect("a path in UTF-8");
        // One process, so that none outlives the test.
        let alone = "daemon off; master_process off;";
        command.args(["-p", folder, "-c", "nginx.conf", "-g", alone]);
        let mut nginx = Process::start(command);
        eventually("nginx listens", 10, async || {
            let ended = nginx.ended(Duration::from_millis(1)).await;
            assert!(ended.is_none(), "nginx-light is needed: {}", nginx.said());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        Proxied {
            server,
            _nginx: nginx,
            port,
            certificate,
        }
    }

    fn client(&self) -> reqwest::Client {
        let certificate = reqwest::Certificate::from_pem(&self.certificate).expect("PEM");
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([certificate])
            .timeout(Duration::from_secs(30))
            .build()
            .expect("an HTTP client")
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Sends the beginning of a request over TLS; what comes until the connection's end.
    fn begin(&self, beginning: String) -> tokio::task::JoinHandle<String> {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(&self.certificate).expect("PEM");
        roots.add(certificate).expect("a certificate");
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let port = self.port;
        tokio::task::spawn_blocking(move || {
            let name = "localhost".try_into().expect("a name");
            let session = rustls::ClientConnection::new(Arc::new(config), name).expect("TLS");
            let socket = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connects");
            let timeout = Some(Duration::from_secs(30));
            socket.set_read_timeout(timeout).expect("a timeout");
            let mut stream = rustls::StreamOwned::new(session, socket);
            stream.write_all(beginning.as_bytes()).expect("a beginning");
            let mut text = Vec::new();
            // nginx may close without a last word of TLS.
            let _ = stream.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    }
}

/// Writes the README's configuration, and around it what a system has already.
fn configure(folder: &Path, till: u16, port: u16) {
    let mut site = replaced(documented(), "127.0.0.1:8000", &format!("127.0.0.1:{till}"));
    site = replaced(
        &site,
        "listen 443 ssl;",
        &format!("listen 127.0.0.1:{port} ssl;"),
    );
    site = replaced(&site, "pay.example.com;", "localhost;");
    site = replaced(&site, "/etc/ssl/certs/pay.example.com.pem", "till.pem");
    site = replaced(&site, "/etc/ssl/private/pay.example.com.key", "till.key");
    std::fs::write(folder.join("till.conf"), site).expect("a file");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    let user = if is_root { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .collect();
    let main = format!(
        "{user}\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\nevents {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}include till.conf;\n}}\n"
    );
    std::fs::write(folder.join("nginx.conf"), main).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_as_the_readme_has_it_keeps_slow_clients_and_spoofed_addresses_away() {
    let sandbox = Sandbox::new().await;
    let proxied = Proxied::start(&sandbox).await;
    let key = sandbox.secret_key().await;
    let client = proxied.client();
    let shop =
        |method: Method, path: &str| client.request(method, proxied.url(path)).bearer_auth(&key);
    let product = json!({"name": "Mug", "prices": {"EUR": "12.50"}});
    let put = shop(Method::PUT, "/v1/products/mug").json(&product);
    assert!(put.send().await.expect("an answer").status().is_success());
    let files = proxied.server.process.open_files();

    // Slow ones wait at nginx while everything below is done.
    let begun = Instant::now();
    let slow: Vec<_> = (0..20)
        .map(|at| {
            let head = "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\n";
            let body = "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"cur";
            proxied.begin(format!("{head}{}", if at % 2 == 0 { "" } else { body }))
        })
        .collect();

    good_requests_go_through(&proxied, &key).await;
    addresses_cannot_be_chosen(&sandbox, &proxied).await;
    let large = shop(Method::POST, "/v1/orders").header("Idempotency-Key", "large");
    let large = large
        .body(vec![b' '; 257 * 1024])
        .send()
        .await
        .expect("an answer");
    assert_eq!(large.status(), 413);

    // What nginx keeps open to Till is of the good requests: none of the slow ones came through.
    let open = proxied.server.process.open_files();
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    assert!(open <= files + 10, "{open} files, {files} before");
    // More than one address may have at a time, each with a body that never ends.
    let held: Vec<_> = (0..80)
        .map(|_| {
            let head =
                "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{";
            proxied.begin(head.to_owned())
        })
        .collect();
    for (at, slow) in slow.into_iter().enumerate() {
        let answer = slow.await.expect("no panic");
        assert!(
            answer.is_empty() || answer.contains(" 408 "),
            "{at} {answer}"
        );
        assert!(
            !answer.contains("request_timeout"),
            "it came from Till: {answer}"
        );
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let mut refused = 0;
    for held in held {
        let answer = held.await.expect("no panic");
        if answer.contains(" 503 ") {
            assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
            refused += 1;
        }
    }
    assert!(refused >= 80 - 64, "{refused} refused");
}

async fn good_requests_go_through(proxied: &Proxied, key: &str) {
    let client = proxied.client();
    let order = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
    let request = client.post(proxied.url("/v1/orders")).bearer_auth(key);
    let placed = request
        .header("Idempotency-Key", "good")
        .json(&order)
        .send();
    let placed = placed.await.expect("an answer");
    assert_eq!(placed.status(), 201);
    assert!(placed.headers().contains_key("request-id"));

    // Signed over its bytes, which are not how a program would write them.
    let event = r#"{ "id" : "evt_proxied",  "object": "event", "type": "charge.updated", "created": 1,
        "livemode": false, "data": {"object": {"id": "ch_1", "object": "charge", "description": "Käse \u00fc"}} }"#;
    let signature = signed(WEBHOOK_SECRET, event);
    for (body, status) in [(event.to_owned(), 200), (event.replace("  ", " "), 400)] {
        let request = client.post(proxied.url("/webhooks/stripe"));
        let request = request.header("Stripe-Signature", &signature);
        let request = request
            .header("Content-Type", "application/json")
            .body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
}

/// Three orders a minute may come from one address, whatever address it claims to have.
async fn addresses_cannot_be_chosen(sandbox: &Sandbox, proxied: &Proxied) {
    let made = sandbox
        .run(&["key", "create", "--kind", "publishable", "--json"])
        .await;
    let made = made.success().json();
    let key = made["key"].as_str().expect("a key");
    let order = json!({"currency": "EUR", "line_items": [{"sku": "mug", "quantity": 1}]});
    let place = async |url: String, at: usize| {
        let request = proxied.client().post(url).bearer_auth(key).json(&order);
        let request = request
            .header("Idempotency-Key", format!("{}", uuid::Uuid::new_v4()))
            .header("X-Real-IP", format!("203.0.113.{at}"));
        request.send().await.expect("an answer").status().as_u16()
    };
    let mut statuses = Vec::new();
    for at in 0..5 {
        statuses.push(place(proxied.url("/v1/orders"), at).await);
    }
    assert_eq!(statuses, [201, 201, 201, 429, 429]);
    // The header is what counts: who reaches Till itself can claim any address.
    let direct = format!("{}/v1/orders", proxied.server.url);
    assert_eq!(place(direct, 200).await, 201);
}
