use super::*;
use crate::api::Client;
use crate::auth::ClientTls;
use crate::config::{ClientCertificates, Tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// An authority of this test only.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Certificate and key for 127.0.0.1, as files.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let folder = self.file.parent().unwrap();
        let files = (
            folder.join(format!("{name}.crt")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

/// Own authority for the collector and one for its clients, and a stranger's.
struct Keys {
    _folder: TempDir,
    ours: Authority,
    clients: Authority,
    stranger: Authority,
}

impl Keys {
    fn new() -> Keys {
        let folder = tempfile::tempdir().unwrap();
        Keys {
            ours: Authority::new(folder.path(), "ours"),
            clients: Authority::new(folder.path(), "clients"),
            stranger: Authority::new(folder.path(), "stranger"),
            _folder: folder,
        }
    }

    async fn collector(&self, clients: Option<ClientCertificates>) -> Collector {
        let (cert, key) = self.ours.sign("collector");
        let tls = Tls {
            cert,
            key,
            ca: clients.map(|_| self.clients.file.clone()),
            client_certificates: clients.unwrap_or_default(),
        };
        Collector::start_with(|c| c.tls = Some(tls)).await
    }
}

fn trusting(authority: &Authority, own: Option<(PathBuf, PathBuf)>) -> ClientTls {
    let (cert, key) = own.unzip();
    ClientTls {
        ca: Some(authority.file.clone()),
        cert,
        key,
        name: None,
    }
}

async fn ask(collector: &Collector, tls: &ClientTls) -> anyhow::Result<String> {
    let url = format!("https://{}", collector.bound.grpc);
    Client::connect(&url, tls)
        .await?
        .ask(r#"{"ask":"hosts"}"#)
        .await
}

async fn agent(collector: &Collector, tls: &ClientTls) -> Agent {
    let endpoint = Endpoint::from_shared(format!("https://{}", collector.bound.grpc)).unwrap();
    let endpoint = endpoint.tls_config(tls.load().unwrap()).unwrap();
    Agent::greet_by(endpoint.connect().await.unwrap(), hello())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_collectors_authority_decides_who_is_believed() {
    let keys = Keys::new();
    let collector = keys.collector(None).await;
    ask(&collector, &trusting(&keys.ours, None)).await.unwrap();
    let wrong = ask(&collector, &trusting(&keys.stranger, None))
        .await
        .unwrap_err();
    assert!(format!("{wrong:#}").contains("certificate"), "{wrong:#}");
    let plain = Client::connect(&collector.url(), &ClientTls::default()).await;
    let plain = match plain {
        Ok(client) => client.ask(r#"{"ask":"hosts"}"#).await.map(drop),
        Err(error) => Err(error.into()),
    };
    assert!(plain.is_err(), "plain text must not be answered");
    let mut agent = agent(&collector, &trusting(&keys.ours, None)).await;
    assert!(matches!(agent.next().await, Answer::Welcome(_)));
    agent.declare(&[(0, "node_load1", &[])]).await;
    agent.sample(1, NOW_MS, 1.0).await;
    agent.acked(1).await;
    collector.stop().await;
}

#[tokio::test]
async fn required_client_certificates_are_required() {
    let keys = Keys::new();
    let collector = keys.collector(Some(ClientCertificates::Required)).await;
    let own = |a: &Authority| trusting(&keys.ours, Some(a.sign("me")));
    ask(&collector, &own(&keys.clients)).await.unwrap();
    assert!(ask(&collector, &own(&keys.stranger)).await.is_err());
    assert!(ask(&collector, &trusting(&keys.ours, None)).await.is_err());
    ask(&collector, &own(&keys.clients)).await.unwrap();
    collector.stop().await;
}

#[tokio::test]
async fn optional_client_certificates_name_who_shows_one() {
    let keys = Keys::new();
    let collector = keys.collector(Some(ClientCertificates::Optional)).await;
    ask(&collector, &trusting(&keys.ours, None)).await.unwrap();
    assert!(
        ask(
            &collector,
            &trusting(&keys.ours, Some(keys.stranger.sign("other")))
        )
        .await
        .is_err(),
        "a certificate that is shown must be good"
    );
    let named = trusting(&keys.ours, Some(keys.clients.sign("host")));
    let mut first = agent(&collector, &named).await;
    assert!(matches!(first.next().await, Answer::Welcome(_)));
    // Someone else claims to be the same host while it is connected.
    let mut second = agent(&collector, &trusting(&keys.ours, None)).await;
    let (_, reason, why) = second.refused().await;
    assert_eq!(reason, RefusalReason::Host);
    assert!(why.contains("another certificate"), "{why}");
    first.declare(&[(0, "node_load1", &[])]).await;
    first.sample(1, NOW_MS, 1.0).await;
    first.acked(1).await;
    collector.stop().await;
}

#[tokio::test]
async fn with_tls_another_address_than_loopback_is_allowed() {
    let keys = Keys::new();
    let (cert, key) = keys.ours.sign("collector");
    let collector = Collector::start_with(|c| {
        c.listen.grpc = "0.0.0.0:0".parse().unwrap();
        c.tls = Some(Tls {
            cert,
            key,
            ..Tls::default()
        });
    })
    .await;
    let local = format!("https://127.0.0.1:{}", collector.bound.grpc.port());
    let client = Client::connect(&local, &trusting(&keys.ours, None))
        .await
        .unwrap();
    client.ask(r#"{"ask":"hosts"}"#).await.unwrap();
    collector.stop().await;
}

#[tokio::test]
async fn doctor_says_how_long_the_certificate_holds() {
    let keys = Keys::new();
    let collector = keys.collector(None).await;
    let ends_ms = auth::chain_ends_ms(collector.config.tls.as_ref().unwrap()).unwrap();
    assert_eq!(ends_ms, 67_090_118_400_000, "4096-01-01, as rcgen has it");
    let url = format!("https://{}", collector.bound.grpc);
    let trusting = trusting(&keys.ours, None);
    let client = Client::connect(&url, &trusting).await.unwrap();
    for (left_days, health) in [(90, "fine"), (20, "watch"), (3, "wrong")] {
        let now_ms = ends_ms - left_days * 86_400_000;
        collector.clock_ms.store(now_ms, Ordering::Relaxed);
        let answer = client.ask(r#"{"ask":"doctor"}"#).await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let mut checks = answer["checks"].as_array().unwrap().iter();
        let check = checks.find(|c| c["subject"] == "certificate").unwrap();
        assert_eq!(check["health"], health, "{check}");
        let left = format!("{left_days} d left");
        assert!(check["found"].as_str().unwrap().contains(&left), "{check}");
    }
    collector.stop().await;
}

#[tokio::test]
async fn without_tls_doctor_has_no_certificate_to_speak_of() {
    let collector = Collector::start().await;
    let plain = ClientTls::default();
    let client = Client::connect(&collector.url(), &plain).await.unwrap();
    let answer = client.ask(r#"{"ask":"doctor"}"#).await.unwrap();
    assert!(!answer.contains("certificate"), "{answer}");
    collector.stop().await;
}

#[test]
fn the_first_of_a_chain_to_end_counts() {
    let keys = Keys::new();
    let (cert, key) = keys.ours.sign("chained");
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_after = rcgen::date_time_ymd(2031, 5, 4);
    let own = KeyPair::generate().unwrap();
    let short = params.self_signed(&own).unwrap().pem();
    let chain = std::fs::read_to_string(&cert).unwrap() + &short;
    std::fs::write(&cert, chain).unwrap();
    let tls = |cert: &Path| Tls {
        cert: cert.to_owned(),
        key: key.clone(),
        ..Tls::default()
    };
    assert_eq!(auth::chain_ends_ms(&tls(&cert)).unwrap(), 1_935_619_200_000);
    let refused = auth::chain_ends_ms(&tls(&key)).unwrap_err();
    assert!(format!("{refused:#}").contains("tls.cert"), "{refused:#}");
}

#[test]
fn key_files_that_do_not_fit_are_named() {
    let keys = Keys::new();
    let (cert, key) = keys.ours.sign("a");
    let (_, other_key) = keys.ours.sign("b");
    let tls = |cert: &Path, key: &Path, ca: Option<&Path>| Tls {
        cert: cert.to_owned(),
        key: key.to_owned(),
        ca: ca.map(Path::to_owned),
        ..Tls::default()
    };
    auth::server_tls(&tls(&cert, &key, None), &["h2"]).unwrap();
    for (tls, expected) in [
        (tls(Path::new("/no.crt"), &key, None), "/no.crt"),
        (tls(&cert, Path::new("/no.key"), None), "/no.key"),
        (tls(&key, &key, None), "tls.cert"),
        (tls(&cert, &other_key, None), "use tls.cert"),
        (tls(&cert, &key, Some(&key)), "tls.ca"),
    ] {
        let refused = auth::server_tls(&tls, &["h2"]).unwrap_err();
        assert!(format!("{refused:#}").contains(expected), "{refused:#}");
    }
}
