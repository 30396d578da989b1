//! Chromium without a screen, in a host, driven over the pipe of its developer tools
//! (<https://chromedevtools.github.io/devtools-protocol/>): JSON messages, each ended by a zero octet.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Netns, Run, wait};

/// A browser with one page. Killed when dropped.
pub struct Browser {
    child: Child,
    orders: RefCell<ChildStdin>,
    messages: Receiver<Value>,
    /// What the page's console and the browser's own checks complain of.
    complaints: RefCell<Vec<String>>,
    session: String,
    last: Cell<u64>,
}

/// A screen to lay the page out for.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Whether the reader prefers dark colours.
    pub dark: bool,
}

impl Browser {
    /// Starts it in a host and opens a page.
    pub fn open(run: &Run, host: &Netns, url: &str) -> Result<Self> {
        let profile = format!("--user-data-dir={}", run.dir().join("browser").display());
        let mut command = host.command("sh");
        // The pipe is descriptors 3 and 4.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "chromium"]);
        command.args(OPTIONS).arg(profile).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("chromium")?;
        let orders = RefCell::new(child.stdin.take().context("its pipe")?);
        let output = child.stdout.take().context("its pipe")?;
        let (sender, messages) = channel();
        thread::spawn(move || read(output, &sender));
        let mut browser = Self {
            child,
            orders,
            messages,
            complaints: RefCell::default(),
            session: String::new(),
            last: Cell::new(0),
        };
        let target = browser.order("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.order("Target.attachToTarget", &attach)?;
        attached["sessionId"].as_str().context("a session")?.clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log"] {
            browser.order(&format!("{domain}.enable"), &json!({}))?;
        }
        browser.order("Page.navigate", &json!({"url": url}))?;
        Ok(browser)
    }

    /// The value of a JavaScript expression in the page.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        let order = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.order("Runtime.evaluate", &order)?;
        if answer.get("exceptionDetails").is_some() {
            bail!("{expression}: {answer}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true.
    pub fn await_true(&self, deadline: Duration, what: &str, expression: &str) -> Result<()> {
        wait::until_true(deadline, what, || Ok(self.evaluate(expression)? == true)).with_context(|| {
            let text = self.evaluate("document.body.innerText").unwrap_or_default();
            format!("{expression}\nthe page: {text:#}\ncomplaints: {:?}", self.complaints.borrow())
        })
    }

    /// Lays the page out for a screen.
    pub fn show_on(&self, screen: Screen) -> Result<()> {
        let Screen { width, height, dark } = screen;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.order("Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.order("Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// Writes what the screen shows as PNG.
    pub fn screenshot(&self, file: &Path) -> Result<()> {
        let answer = self.order("Page.captureScreenshot", &json!({"format": "png"}))?;
        let picture = STANDARD.decode(answer["data"].as_str().context("a picture")?)?;
        Ok(std::fs::write(file, picture)?)
    }

    /// Fails where the page had an error or broke its own policy.
    pub fn expect_no_complaint(&self) -> Result<()> {
        let complaints = self.complaints.borrow();
        if complaints.is_empty() { Ok(()) } else { bail!("the browser complains: {complaints:?}") }
    }

    fn order(&self, method: &str, params: &Value) -> Result<Value> {
        let id = self.last.get() + 1;
        self.last.set(id);
        let mut order = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            order["sessionId"] = self.session.clone().into();
        }
        let mut pipe = self.orders.borrow_mut();
        pipe.write_all(format!("{order}\0").as_bytes())?;
        pipe.flush()?;
        loop {
            let message =
                self.messages.recv_timeout(PATIENCE).with_context(|| format!("no answer to {method}"))?;
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(anyhow!("{method}: {error}")),
                    None => Ok(message["result"].clone()),
                };
            }
            self.complaints.borrow_mut().extend(complaint(&message));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: ChildStdout, messages: &Sender<Value>) {
    for message in BufReader::new(output).split(0) {
        let Some(message) = message.ok().and_then(|message| serde_json::from_slice(&message).ok()) else {
            return;
        };
        if messages.send(message).is_err() {
            return;
        }
    }
}

/// An exception that nobody caught, or an error in the log: a policy that was broken is one.
fn complaint(message: &Value) -> Option<String> {
    let params = &message["params"];
    match message["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Log.entryAdded" if params["entry"]["level"] == "error" => Some(params["entry"]["text"].to_string()),
        _ => None,
    }
}

const OPTIONS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];
/// Chromium starts within this time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
