//! The report as a page.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::{Pages, failed};
use crate::answer::range::{Range, parse_duration_ms, parse_period};
use crate::answer::{self, AnswerError, Body, Question, ReportFormat, ReportQuestion};

/// A report is given up after this time.
const REPORT_TIME: Duration = Duration::from_secs(60);

/// `/` and `/report?since=24h&group=site%3Dberlin`, `?period=last-week`, `?format=md`.
pub(super) async fn page(
    State(pages): State<Pages>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    match question(&asked) {
        Ok(question) => print(&pages, question).await,
        Err(why) => failed(AnswerError::Asked(why)),
    }
}

fn question(asked: &HashMap<String, String>) -> Result<ReportQuestion, String> {
    let mut question = ReportQuestion {
        range: None,
        group: BTreeMap::new(),
        format: ReportFormat::Html,
    };
    for (name, value) in asked {
        match name.as_str() {
            "since" => question.range = Some(Range::last_ms(parse_duration_ms(value)?)),
            "period" => question.range = Some(parse_period(value)?),
            "format" => {
                question.format = match value.as_str() {
                    "html" => ReportFormat::Html,
                    "md" => ReportFormat::Markdown,
                    "json" => ReportFormat::Json,
                    _ => return Err("format is html, md or json".to_owned()),
                }
            }
            "group" => {
                let (label, value) = value
                    .split_once('=')
                    .ok_or("group is LABEL=VALUE, with %3D for the =")?;
                question.group.insert(label.to_owned(), value.to_owned());
            }
            _ => return Err("a report is asked by since, period, group and format".to_owned()),
        }
    }
    if asked.contains_key("since") && asked.contains_key("period") {
        return Err("since and period exclude each other".to_owned());
    }
    Ok(question)
}

async fn print(pages: &Pages, question: ReportQuestion) -> Response {
    // One at a time: a report reads the whole period of the whole fleet.
    let _turn = pages.reports.acquire().await;
    let asking = Question::Report(question);
    let answered = answer::answer(&pages.store, &pages.setup, asking, pages.clock.now_ms());
    let report = match timeout(REPORT_TIME, answered).await {
        Ok(Ok(answer)) => match answer.body {
            Body::Report(report) => report,
            _ => return failed(AnswerError::Asked("the answer is no report".to_owned())),
        },
        Ok(Err(error)) => return failed(error),
        Err(_) => {
            let why = "the report takes too long: ask for less with since or group";
            return failed(AnswerError::Asked(why.to_owned()));
        }
    };
    let kind = match report.format {
        ReportFormat::Html => "text/html; charset=utf-8",
        ReportFormat::Markdown => "text/markdown; charset=utf-8",
        ReportFormat::Json => "application/json",
    };
    ([(header::CONTENT_TYPE, kind)], report.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[(&str, &str)], expected: &str) {
        let asked = words
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let shown = match question(&asked.collect()) {
            Ok(question) => format!("{question:?}"),
            Err(why) => why,
        };
        assert!(shown.contains(expected), "{shown}\nlacks {expected:?}");
    }

    #[test]
    fn the_address_says_what_the_report_is_about() {
        check(&[], "range: None, group: {}, format: Html");
        check(&[("since", "1h")], "AgoMs(3600000)");
        check(&[("period", "last-week"), ("format", "md")], "LastWeek");
        check(&[("group", "site=berlin")], r#"{"site": "berlin"}"#);
        check(&[("group", "site")], "group is LABEL=VALUE");
        check(&[("format", "pdf")], "format is html");
        check(&[("sinse", "1h")], "asked by since");
        check(&[("since", "1h"), ("period", "last-week")], "exclude");
    }
}
