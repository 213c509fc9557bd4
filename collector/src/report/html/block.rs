//! Each kind of block as HTML.

use std::fmt::Write as _;

use super::{escape, flow, prose, sign};
use crate::report::chart;
use crate::report::document::*;
use crate::report::words;

/// The page as it grows; numbers its drawings so that their ids are unique.
#[derive(Default)]
pub(super) struct Page {
    out: String,
    charts: usize,
}

impl Page {
    pub(super) fn push(&mut self, html: &str) {
        self.out.push_str(html);
    }

    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn into_text(self) -> String {
        self.out
    }

    pub(super) fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(b) => self.push(&format!("<h3>{}</h3>\n", flow(&b.text))),
            Block::Paragraph(b) => self.push(&format!("<p class=\"text\">{}</p>\n", flow(&b.text))),
            Block::Verdict(b) => self.verdict(b),
            Block::Actions(b) => self.actions(b),
            Block::Table(b) => self.table(b),
            Block::Chart(b) => {
                self.push("<figure class=\"wide\">");
                self.chart(b);
                self.push(&format!(
                    "<figcaption>{}</figcaption></figure>\n",
                    flow(&b.title)
                ));
            }
            Block::Callout(b) => self.push(&format!(
                "<aside class=\"callout {}\">{}<div><strong>{}</strong> {}</div></aside>\n",
                b.status.name(),
                sign(b.status),
                flow(&b.title),
                flow(&b.text),
            )),
            Block::HostCard(b) => self.host(b),
            Block::Risk(b) => self.risk(b),
            Block::Definitions(b) => self.definitions(b),
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let _ = write!(
            self.out,
            "<div class=\"verdict {}\">{}<div><p class=\"sentence\">{}</p>",
            verdict.status.name(),
            sign(verdict.status),
            flow(&verdict.sentence),
        );
        if !verdict.detail.is_empty() {
            let _ = write!(
                self.out,
                "<p class=\"detail\">{}</p>",
                flow(&verdict.detail)
            );
        }
        self.push("</div></div>\n<ul class=\"figures\">");
        for figure in &verdict.figures {
            let _ = write!(
                self.out,
                "<li class=\"{}\"><span class=\"label\">{}{}</span><span class=\"value\">{}</span>\
                 <span class=\"note\">{}</span></li>",
                figure.status.name(),
                sign(figure.status),
                flow(&figure.label),
                flow(&figure.value),
                flow(&figure.note),
            );
        }
        self.push("</ul>\n");
    }

    fn actions(&mut self, actions: &Actions) {
        self.push("<ol class=\"actions\">");
        for (at, action) in actions.items.iter().enumerate() {
            let _ = write!(
                self.out,
                "<li class=\"{}\"><p class=\"rank\"><span class=\"numeral\">{}</span>{}<span \
                 class=\"where\">{}</span></p><p class=\"do\">{}</p><dl><div><dt>Found</dt>\
                 <dd>{}</dd></div><div><dt>Since</dt><dd>{}</dd></div><div><dt>If ignored</dt>\
                 <dd>{}</dd></div></dl></li>",
                action.status.name(),
                at + 1,
                sign(action.status),
                flow(&action.host),
                prose(&action.advice),
                flow(&action.finding),
                flow(&action.since),
                prose(&action.if_ignored),
            );
        }
        self.push("</ol>\n");
    }

    fn table(&mut self, table: &Table) {
        let _ = write!(
            self.out,
            "<table><caption>{}</caption><thead><tr>",
            escape(&table.caption)
        );
        for column in &table.columns {
            let class = class(column.kind);
            let _ = write!(
                self.out,
                "<th scope=\"col\"{class}>{}</th>",
                escape(&column.title)
            );
        }
        self.push("</tr></thead><tbody>\n");
        for row in &table.rows {
            self.push("<tr>");
            for (column, cell) in table.columns.iter().zip(row) {
                self.cell(column, cell);
            }
            self.push("</tr>\n");
        }
        self.push("</tbody></table>\n");
        if table.omitted > 0 {
            let rows = words::counted(table.omitted, "row is", "rows are");
            let _ = writeln!(
                self.out,
                "<p class=\"omitted\">{rows} left out here; to see all: <code>{}</code></p>",
                escape(&table.omitted_hint),
            );
        }
    }

    fn cell(&mut self, column: &Column, cell: &Cell) {
        let class = class(column.kind);
        let text = match (cell.code, cell.status) {
            (true, _) => format!("<code>{}</code>", escape(&cell.text)),
            (false, Some(status)) => format!(
                "<span class=\"mark {}\">{}{}</span>",
                status.name(),
                sign(status),
                flow(&cell.text),
            ),
            (false, None) => flow(&cell.text),
        };
        let label = escape(&column.title);
        let _ = write!(
            self.out,
            "<td{class} data-label=\"{label}\"><div>{text}</div></td>"
        );
    }

    fn chart(&mut self, chart: &Chart) {
        self.charts += 1;
        let id = format!("c{}", self.charts);
        self.out.push_str(&chart::svg(chart, &id));
    }

    fn host(&mut self, host: &HostCard) {
        let status = host.status.name();
        let _ = write!(
            self.out,
            "<article class=\"host {status}\"><header><h3>{}</h3><span class=\"mark {status}\">{}{}\
             </span>",
            flow(&host.name),
            sign(host.status),
            host_word(host.status),
        );
        if !host.labels.is_empty() {
            self.push("<ul class=\"labels\">");
            for label in &host.labels {
                let _ = write!(self.out, "<li>{}</li>", flow(label));
            }
            self.push("</ul>");
        }
        let _ = write!(
            self.out,
            "<p class=\"reason\">{}</p></header>\n<div class=\"tiles\">",
            flow(&host.reason)
        );
        for indicator in &host.indicators {
            self.indicator(indicator);
        }
        self.push("<dl class=\"tile facts\">");
        for (name, value) in &host.facts {
            let _ = write!(
                self.out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                flow(name),
                flow(value)
            );
        }
        self.push("</dl></div></article>\n");
    }

    fn indicator(&mut self, view: &IndicatorView) {
        let status = view.status.name();
        let _ = write!(
            self.out,
            "<section class=\"tile {status}\"><h4>{}<span class=\"mark {status}\">{}{}</span></h4>\
             <p class=\"now\">{}</p>",
            flow(&view.name),
            sign(view.status),
            view.status.word(),
            flow(&view.now),
        );
        if let Some(chart) = &view.chart {
            self.chart(chart);
            if let Some(stats) = chart::stats(chart) {
                let say = |value| words::value(value, chart.unit);
                let _ = write!(
                    self.out,
                    "<p class=\"stats\"><span>min {}</span><span>mean {}</span><span>max {}</span></p>",
                    say(stats.min),
                    say(stats.mean),
                    say(stats.max),
                );
            }
        } else {
            self.push("<p class=\"empty\">Nothing to draw: no data in this period.</p>");
        }
        let _ = write!(
            self.out,
            "<p class=\"words\">{}</p></section>",
            flow(&view.words)
        );
    }

    fn risk(&mut self, risk: &RiskCard) {
        let status = risk.status.name();
        let _ = write!(
            self.out,
            "<article class=\"finding {status}\"><header><span class=\"mark {status}\">{}{}</span>\
             <h3>{}</h3><p class=\"summary\">{}</p></header><dl><div><dt>Since</dt><dd>{}</dd></div>{}{}{}\
             <div><dt>What to do</dt><dd>{}</dd></div><div><dt>If ignored</dt><dd>{}</dd></div>\
             <div><dt>Rule</dt><dd><code>{}</code>",
            sign(risk.status),
            flow(&risk.severity),
            flow(&risk.host),
            flow(&risk.summary),
            flow(&risk.since),
            said("Owner", &risk.owner),
            said("State", &risk.standing),
            said("Who", &risk.who),
            prose(&risk.advice),
            prose(&risk.if_ignored),
            escape(&risk.rule),
        );
        if risk.id > 0 {
            let _ = write!(self.out, ", number {} in the register", risk.id);
        }
        self.push("</dd></div></dl>");
        if !risk.evidence.is_empty() {
            self.table(&evidence(&risk.evidence));
        }
        self.push("</article>\n");
    }

    fn definitions(&mut self, definitions: &Definitions) {
        self.push("<dl class=\"definitions\">");
        for item in &definitions.items {
            let _ = write!(
                self.out,
                "<div><dt>{}</dt><dd>{}",
                flow(&item.term),
                prose(&item.text)
            );
            if !item.command.is_empty() {
                let _ = write!(self.out, "<br><code>{}</code>", escape(&item.command));
            }
            self.push("</dd></div>");
        }
        self.push("</dl>\n");
    }
}

fn class(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "",
        ColumnKind::Number => " class=\"numeric\"",
        ColumnKind::Time => " class=\"time\"",
    }
}

/// Evidence as a table.
fn evidence(evidence: &[EvidenceView]) -> Table {
    let level = |text: &str| {
        if text.is_empty() {
            "–".to_owned()
        } else {
            text.to_owned()
        }
    };
    Table {
        caption: "Evidence".into(),
        columns: columns(&["Measured", "#Value", "#Level", "Samples behind it"]),
        rows: evidence
            .iter()
            .map(|e| {
                vec![
                    cell(&e.what),
                    cell(&e.value),
                    cell(level(&e.threshold)),
                    code(&e.selector),
                ]
            })
            .collect(),
        omitted: 0,
        omitted_hint: String::new(),
    }
}

/// A line of a card, where there is something to say.
fn said(name: &str, text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("<div><dt>{name}</dt><dd>{}</dd></div>", flow(text)),
    }
}
