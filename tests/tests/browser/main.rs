//! The report in a real browser: at desktop and phone width, in grey tones, printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test reports by panicking"
)]

mod chrome;
mod fleet;

use std::path::{Path, PathBuf};

use chrome::Chrome;
use hostwell::report::{Block, Report, build, html};
use hostwell_tests::program::{binary, command, foreign, run, stdout};
use hostwell_tests::site::{Agent, Collector};
use hostwell_tests::wait::{seconds, until};

/// Desktop, laptop, tablet, a common phone, a small phone.
const WIDTHS: [u32; 5] = [1280, 1024, 768, 390, 320];
/// Points, of an A4 page.
const PAGE: (f64, f64) = (595.0, 842.0);

/// What `measure.js` found at one width.
struct Measured {
    width: u64,
    found: serde_json::Value,
}

impl Measured {
    fn number(&self, name: &str) -> f64 {
        self.found[name].as_f64().unwrap()
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let texts = self.found[name].as_array().unwrap();
        texts.iter().map(|t| t.as_str().unwrap()).collect()
    }
}

#[test]
fn the_report_fits_every_width_and_stays_readable_in_grey() {
    let chrome = Chrome::find();
    let page = html(&build(&fleet::rich()));
    std::fs::write(eyes("report.html"), &page).unwrap();
    check_screen(&chrome, &page, 8 * 5);
}

#[test]
fn the_report_prints_on_a4_with_every_chapter_and_nothing_cut() {
    let chrome = Chrome::find();
    let report = build(&fleet::rich());
    let page = chrome.file("report.html", &html(&report));
    check_print(&chrome.pdf(&page), &report);
}

#[test]
fn the_report_of_a_real_host_fits_and_prints_too() {
    let chrome = Chrome::find();
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&folder.path().join("collector"));
    let place = folder.path().join("agent");
    let mut agent = Agent::start(&place, &collector.url(), "send_every = \"1s\"");
    until("all five indicators have a course", seconds(90), || {
        let asked = collector.ask(&["report", "--format", "json", "--out", "-"]);
        let report: Report = serde_json::from_slice(&asked.stdout).ok()?;
        (charts(&report) == 5).then_some(())
    });
    agent.program.stop();
    collector.program.stop();
    // The file at rest gives the same report in every form.
    let database = collector.database();
    let form = |form: &str| {
        let mut asked = command(binary("hostwell"));
        asked.args(["report", "--out", "-", "--format", form, "--db"]);
        stdout(&run(asked.arg(&database)))
    };
    let report: Report = serde_json::from_str(&form("json")).unwrap();
    assert_eq!((report.summary.hosts, report.summary.unknown), (1, 0));
    assert_eq!(
        charts(&report),
        5,
        "the file at rest knows what the collector knew"
    );
    let page = form("html");
    assert!(form("md").contains("## 1. Verdict"));
    std::fs::write(eyes("real.html"), &page).unwrap();
    check_screen(&chrome, &page, charts(&report));
    check_print(&chrome.pdf(&chrome.file("real.html", &page)), &report);
}

/// How many charts the report has.
fn charts(report: &Report) -> usize {
    let blocks = report.chapters.iter().flat_map(|chapter| &chapter.blocks);
    blocks
        .map(|block| match block {
            Block::HostCard(card) => card.indicators.iter().filter(|i| i.chart.is_some()).count(),
            _ => 0,
        })
        .sum()
}

/// A file that is left behind for human eyes.
fn eyes(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_measuring_itself_sees_overlap_overflow_and_faint_text() {
    let chrome = Chrome::find();
    let bad = "<!doctype html><body style='margin:0;width:2000px'>\
               <p style='position:absolute;top:9px'>one text</p>\
               <p style='position:absolute;top:12px'>another</p>\
               <p style='color:#bbb;margin-top:99px'>faint</p>";
    for found in measure(&chrome, bad) {
        assert!(found.number("scroll") > found.number("client"));
        assert_eq!(found.texts("overlaps"), ["one text / another"]);
        assert_eq!(found.texts("faint"), ["faint: 1.92"]);
    }
}

#[track_caller]
fn check_screen(chrome: &Chrome, page: &str, charts: usize) {
    for found in measure(chrome, page) {
        let width = found.width;
        assert_eq!(
            found.number("client"),
            width as f64,
            "an iframe of {width} px"
        );
        assert!(found.number("texts") > 100.0, "{width} px shows text");
        assert!(
            found.number("scroll") <= found.number("client"),
            "{width} px scrolls sideways: {} px wide",
            found.number("scroll"),
        );
        for what in ["outside", "overlaps", "faint", "shapes"] {
            assert_eq!(
                found.texts(what),
                Vec::<&str>::new(),
                "{what} at {width} px"
            );
        }
        assert!(
            found.number("smallest") >= 8.5,
            "{width} px: a text of {} px",
            found.number("smallest"),
        );
        assert_eq!(
            found.number("charts"),
            charts as f64,
            "charts at {width} px"
        );
        assert_eq!(
            (found.number("scripts"), found.number("images")),
            (0.0, 0.0)
        );
    }
}

/// Opens the page in frames of every width; they are of the measuring page's own origin.
fn measure(chrome: &Chrome, page: &str) -> Vec<Measured> {
    let source = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames: String = WIDTHS
        .iter()
        .map(|width| {
            format!("<iframe width=\"{width}\" height=\"40000\" frameborder=\"0\" srcdoc=\"{source}\"></iframe>\n")
        })
        .collect();
    let wrapper = format!(
        "<!doctype html><meta charset=\"utf-8\"><body>{frames}<script>{}</script>",
        include_str!("measure.js")
    );
    let dom = chrome.dom(&chrome.file("measure.html", &wrapper));
    let (_, rest) = dom
        .split_once("<pre id=\"measured\">")
        .expect("the measuring script ran");
    let json = rest.split_once("</pre>").unwrap().0;
    let json = json
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let found: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(found.len(), WIDTHS.len());
    let each = WIDTHS.iter().zip(found);
    each.map(|(width, found)| Measured {
        width: u64::from(*width),
        found,
    })
    .collect()
}

#[track_caller]
fn check_print(pdf: &Path, report: &Report) {
    let pdftotext = foreign("pdftotext", "poppler-utils");
    let text = stdout(&run(command(&pdftotext)
        .args(["-layout"])
        .arg(pdf)
        .arg("-")));
    let mut rest = text.as_str();
    for (number, chapter) in report.chapters.iter().enumerate() {
        let at = rest.lines().position(|line| {
            let line = line.trim();
            line.starts_with(&(number + 1).to_string()) && line.ends_with(&chapter.title)
        });
        let at = at.unwrap_or_else(|| panic!("{:?} is not printed:\n{text}", chapter.title));
        let skipped: usize = rest.lines().take(at + 1).map(|line| line.len() + 1).sum();
        rest = &rest[skipped.min(rest.len())..];
    }
    assert!(rest.contains("Made by"), "the last line is printed");
    let first = text
        .split('\u{c}')
        .next()
        .unwrap()
        .replace(char::is_whitespace, "");
    let sentence = report.summary.sentence.replace(char::is_whitespace, "");
    assert!(
        first.contains(&sentence),
        "the verdict stands on the first page"
    );
    let pages = text.matches('\u{c}').count();
    assert!((2..=24).contains(&pages), "{pages} pages");

    let boxes = stdout(&run(command(&pdftotext).args(["-bbox"]).arg(pdf).arg("-")));
    let mut words = 0;
    for line in boxes
        .lines()
        .filter(|line| line.trim_start().starts_with("<word "))
    {
        let edge = |name: &str| -> f64 {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let inside = edge("xMin") >= 30.0
            && edge("yMin") >= 0.0
            && edge("xMax") <= PAGE.0 - 30.0
            && edge("yMax") <= PAGE.1;
        assert!(inside, "beyond the margin: {line}");
        words += 1;
    }
    assert!(words > 300, "{words} words");
}
