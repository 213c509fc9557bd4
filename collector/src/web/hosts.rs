//! The hosts in a table.

use std::fmt::Write as _;

use super::{Pages, Response};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};

use crate::answer::{self, Body, Question};

/// `/`: every host, its state and its worst finding.
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let answered = answer::answer(&pages.store, Question::Hosts {}, pages.clock.now_ms()).await;
    let hosts = match answered.map(|answer| answer.body) {
        Ok(Body::Hosts { hosts }) => hosts,
        Ok(_) => {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "not the answer asked for\n",
            )
                .into_response();
        }
        Err(error) => return super::failed(error),
    };
    let mut rows = String::new();
    for host in hosts {
        let _ = write!(
            rows,
            "<tr><td>{}<td>{:?}<td>{}<td>{}",
            escape(&host.name),
            host.state,
            host.age_ms
                .map_or("-".to_owned(), |ms| format!("{} s", ms / 1000)),
            escape(&host.worst.map_or_else(String::new, |w| w.summary)),
        );
    }
    Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Hostwell</title>\
         <h1>Hosts</h1><table><tr><th>Host<th>State<th>Age<th>Worst finding{rows}</table>"
    ))
    .into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
