//! A program on a terminal: script(1) makes the pseudo-terminal, a terminal emulator keeps the screen.

mod picture;

use core::num::NonZero;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use vt100::Parser;

use crate::wait;

/// The program, its keyboard and its screen. Killed when dropped.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Parser>>,
}

impl Terminal {
    /// Starts a program whose words need no quotes.
    pub fn start(words: &[&str], columns: u16, lines: u16, environment: &[(&str, &Path)]) -> Result<Self> {
        // The size is set before the program looks.
        let command = format!("stty cols {columns} rows {lines}; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--flush", "--command", &command, "/dev/null"]);
        script.env("TERM", "xterm-256color").envs(environment.iter().copied());
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("script(1) of the package bsdutils")?;
        let keys = child.stdin.take().context("its keyboard")?;
        let output = child.stdout.take().context("its screen")?;
        let size = NonZero::new(lines).zip(NonZero::new(columns)).context("a screen without lines")?;
        let screen = Arc::new(Mutex::new(Parser::new(size.0, size.1, 0)));
        let shown = Arc::clone(&screen);
        thread::spawn(move || show(output, &shown));
        Ok(Self { child, keys, screen })
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        lock(&self.screen).screen().contents()
    }

    /// Waits until the screen fulfils a condition, and returns its text.
    pub fn await_text(&self, deadline: Duration, what: &str, holds: impl Fn(&str) -> bool) -> Result<String> {
        wait::until(deadline, what, || Ok(Some(self.text()).filter(|text| holds(text))))
            .with_context(|| format!("the screen:\n{}", self.text()))
    }

    /// True while it has a screen of its own beside the one that scrolls.
    pub fn is_full_screen(&self) -> bool {
        lock(&self.screen).screen().alternate_screen()
    }

    /// The screen as SVG.
    pub fn picture(&self, title: &str) -> String {
        picture::svg(lock(&self.screen).screen(), title)
    }

    /// Waits for the program's end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        wait::until(deadline, "the end of a program on a terminal", || Ok(self.child.try_wait()?))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(mut output: ChildStdout, screen: &Mutex<Parser>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        lock(screen).process(&buffer[..length]);
    }
}

fn lock(screen: &Mutex<Parser>) -> MutexGuard<'_, Parser> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}
