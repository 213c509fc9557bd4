//! A headless Chromium: dumps a page's DOM after its scripts ran, prints to PDF, takes pictures.

use std::path::{Path, PathBuf};

use hostwell_tests::program::{Program, command, foreign};
use hostwell_tests::wait::seconds;
use tempfile::TempDir;

/// A browser with an empty profile of its own, which goes away with it.
pub(crate) struct Chrome {
    program: PathBuf,
    folder: TempDir,
}

impl Chrome {
    /// Finds the browser; panics with the package to install when there is none.
    #[track_caller]
    pub(crate) fn find() -> Chrome {
        Chrome {
            program: foreign("chromium", "chromium"),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A file's path in the browser's folder, written with `text`.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The page's DOM as HTML, after its load event.
    #[track_caller]
    pub(crate) fn dom(&self, page: &Path) -> String {
        self.run(&["--dump-dom", "--virtual-time-budget=5000"], page)
    }

    /// Prints the page and answers the PDF's path.
    #[track_caller]
    pub(crate) fn pdf(&self, page: &Path) -> PathBuf {
        let pdf = page.with_extension("pdf");
        let print = format!("--print-to-pdf={}", pdf.display());
        let log = self.run(&[&print, "--no-pdf-header-footer"], page);
        assert!(pdf.is_file(), "{log}");
        pdf
    }

    #[track_caller]
    fn run(&self, flags: &[&str], page: &Path) -> String {
        let log = self.folder.path().join("chromium.log");
        drop(std::fs::remove_file(&log));
        let mut chromium = command(&self.program);
        chromium
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .arg(format!(
                "--user-data-dir={}",
                self.folder.path().join("profile").display()
            ))
            .args(flags)
            .arg(format!("file://{}", page.display()));
        let mut running = Program::start(chromium, &log);
        let status = running.wait(seconds(120));
        assert!(status.success(), "chromium: {status}\n{}", running.log());
        running.log()
    }
}
