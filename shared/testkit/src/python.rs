//! Programs that others wrote in Python, as second opinions.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A virtual environment `name` under `target` with these packages (`name==version`), made at the first need and
/// again when the versions change. Its interpreter is `bin/python` in the folder that is returned.
///
/// # Errors
/// What is in the way: no Python, no package index. Where `CI` is set there is both, so there this panics rather
/// than let a test pass that judged nothing.
///
/// # Panics
/// When `target` cannot be written to, or under `CI`.
pub fn python(target: &Path, name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let made = make(target, name, packages);
    if let (Err(why), Some(_)) = (&made, std::env::var_os("CI")) {
        panic!("{name}: {why}");
    }
    made
}

fn make(target: &Path, name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let environment = target.join(name);
    let said = |error: std::io::Error| format!("{}: {error}", environment.display());
    fs::create_dir_all(target).map_err(said)?;
    // Test runs side by side take turns.
    let turn = File::create(target.join(format!("{name}.lock"))).map_err(said)?;
    turn.lock().map_err(said)?;
    let done = environment.join("installed");
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(environment);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    run(pip.args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    fs::write(&done, wanted).map_err(said)?;
    Ok(environment)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed: {complaint}"))
}
