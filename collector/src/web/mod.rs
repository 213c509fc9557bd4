//! Pages and health over HTTP. It computes nothing: a page is an answer, rendered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use crate::answer::{AnswerError, Setup};
use crate::clock::Clock;
use crate::listen::{Connection, Listener};
use crate::store::Store;

mod metrics;
mod report;

/// Pages are self-contained: nothing is loaded, nothing is framed, no script runs but the page's.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The web server's state.
#[derive(Clone)]
pub struct Pages {
    store: Store,
    setup: Arc<Setup>,
    clock: Clock,
    address: SocketAddr,
    healthy: Arc<AtomicBool>,
    reports: Arc<Semaphore>,
    agents: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl Pages {
    /// Pages from `store`, served at `address`; `healthy` says whether the periodic work goes well.
    pub fn new(
        store: Store,
        setup: Arc<Setup>,
        clock: Clock,
        address: SocketAddr,
        healthy: Arc<AtomicBool>,
    ) -> Self {
        Pages {
            store,
            setup,
            clock,
            address,
            healthy,
            reports: Arc::new(Semaphore::new(1)),
            agents: Arc::new(|| 0),
        }
    }

    /// Lets the metrics tell how many agents are connected.
    #[must_use]
    pub fn counting(mut self, agents: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        self.agents = Arc::new(agents);
        self
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(
        self,
        listener: Listener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(Incoming(listener), self.routes())
            .with_graceful_shutdown(stop)
            .await
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/", get(report::page))
            .route("/report", get(report::page))
            .route("/metrics", get(metrics::page))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .fallback(|| async { (StatusCode::NOT_FOUND, "no such page\n") })
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self)
    }
}

/// Says why there is no page.
fn failed(error: AnswerError) -> Response {
    let code = match error {
        AnswerError::Asked(_) => StatusCode::BAD_REQUEST,
        AnswerError::Store(_) | AnswerError::Encode(_) | AnswerError::CutOff { .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let text = format!("{:#}\n", anyhow::Error::new(error));
    if code.is_client_error() {
        return (code, text).into_response();
    }
    // A page may be seen by people who should not learn how the disk is laid out.
    let id = format!("{:08x}", getrandom::u32().unwrap_or_default());
    tracing::error!(id, "make a page: {}", text.trim_end());
    (
        code,
        format!("this page cannot be made now; the collector's log says why (id {id})\n"),
    )
        .into_response()
}

/// Whether the collector can do its work; for load balancers and supervisors.
async fn ready(State(pages): State<Pages>) -> Response {
    if pages.healthy.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        let why = "the periodic work fails: see the collector's log\n";
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

/// Turns away what a page of a stranger's site could have made a browser ask, and tells browsers
/// what the answers may do.
async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let asked = request
        .headers()
        .get(header::HOST)
        .and_then(|v| v.to_str().ok());
    if pages.address.ip().is_loopback() && !asked.is_some_and(is_local) {
        let why = "this collector answers to localhost only\n";
        return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a Host header names this machine: a name an attacker's DNS points here does not.
fn is_local(host: &str) -> bool {
    let Ok(uri) = format!("http://{host}/").parse::<Uri>() else {
        return false;
    };
    let name = uri.host().unwrap_or_default();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A listener as the server wants it.
struct Incoming(Listener);

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.0.next().await {
            Some(connection) => {
                let address = connection.peer().address;
                (connection, address)
            }
            // The shutdown ends the server; until it notices there is nothing more to accept.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.0.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_of_ours_is_not_called_a_bad_question() {
        let source = tokio::spawn(async { panic!("index 7 of 3") });
        let source = source.await.unwrap_err();
        let error = AnswerError::CutOff {
            doing: "it",
            source,
        };
        assert_eq!(failed(error).status(), StatusCode::INTERNAL_SERVER_ERROR);
        let asked = AnswerError::Asked("narrow it".into());
        assert_eq!(failed(asked).status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in [
            "localhost",
            "LOCALHOST:7480",
            "127.0.0.1:7480",
            "[::1]:7480",
            "127.9.9.9",
        ] {
            assert!(is_local(local), "{local}");
        }
        for strange in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:7480",
            "",
            "a b",
            "127.0.0.1@evil",
        ] {
            assert!(!is_local(strange), "{strange}");
        }
    }
}
