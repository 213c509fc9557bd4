//! A Python of the scorers' own, with what they ask for.

use std::path::{Path, PathBuf};

use hostwell_tests::program::{command, find, repository, run};

/// A Python with what `requirements.txt` beside the scorers says, made once under `target/`.
pub(crate) fn python(eval: &Path) -> PathBuf {
    let wanted = eval.join("requirements.txt");
    let text = std::fs::read_to_string(&wanted)
        .unwrap_or_else(|e| give_up(&format!("{}: {e}", wanted.display())));
    let folder = repository().join("target/eval-python");
    let (python, made_for) = (folder.join("bin/python"), folder.join("made-for.txt"));
    if python.exists() && std::fs::read_to_string(&made_for).is_ok_and(|made| made == text) {
        return python;
    }
    eprintln!(
        "eval: a Python with {}",
        text.split_whitespace().collect::<Vec<_>>().join(", ")
    );
    let _ = std::fs::remove_dir_all(&folder);
    let made = find("python3")
        .into_iter()
        .chain([PathBuf::from("/usr/bin/python3")]);
    let made = made.filter(|python| python.exists()).any(|python| {
        let mut making = command(python);
        run(making.args(["-m", "venv"]).arg(&folder))
            .status
            .success()
    });
    if !made {
        give_up(
            "no Python can make an environment: apt-get install --no-install-recommends python3-venv",
        );
    }
    let mut pip = command(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    let done = run(pip.arg(&wanted));
    if !done.status.success() {
        let _ = std::fs::remove_dir_all(&folder);
        give_up(&String::from_utf8_lossy(&done.stderr));
    }
    std::fs::write(&made_for, text).unwrap();
    python
}

fn give_up(why: &str) -> ! {
    eprintln!("eval: {why}");
    std::process::exit(2);
}
