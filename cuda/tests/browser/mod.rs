//! A headless Chromium, driven as a person would: it moves a mouse, touches, presses keys, and looks.
//!
//! It speaks the DevTools protocol over two pipes (JSON, each message ended by a zero), so no port is open and no package is
//! needed. Where there is no Chromium, or it does not start, tests say so and end.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything takes here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running browser with one page.
pub(crate) struct Browser {
    child: Child,
    words: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    /// What went wrong in the page, and what it asked the network for.
    pub(crate) complaints: Vec<String>,
    _profile: Profile,
}

/// A folder of the browser's own, gone with it.
struct Profile(std::path::PathBuf);

impl Drop for Profile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // what is left lies in the build's own temporary folder
    }
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) wide: u32,
    pub(crate) high: u32,
    pub(crate) dark: bool,
    pub(crate) touch: bool,
}

impl Browser {
    /// A browser, or `None` with a line that says why not.
    pub(crate) fn start(name: &str) -> Option<Browser> {
        let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|program| {
            let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        });
        let Some(program) = found else {
            println!("SKIPPED: there is no chromium here, so nobody looked at the page");
            return None;
        };
        let profile = Profile(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profile_{name}")));
        // It reads from 3 and writes to 4. Without a sandbox, because the page is our own and tests may run as root.
        let line = format!(
            "exec {program} --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars \
             --remote-debugging-pipe --user-data-dir=\"$0\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"
        );
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(line).arg(&profile.0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().expect("a shell starts");
        let words = child.stdin.take().expect("it was asked for");
        let answers = listen(child.stdout.take().expect("it was asked for"));
        let mut browser =
            Browser { child, words, answers, session: None, asked: 0, complaints: Vec::new(), _profile: profile };
        if browser.ask("Browser.getVersion", json!({})).is_none() {
            println!("SKIPPED: {program} does not start here, so nobody looked at the page");
            return None;
        }
        Some(browser)
    }

    /// Opens a file and waits until its script is through. Says how long that took.
    pub(crate) fn open(&mut self, path: &str, screen: Screen) -> Duration {
        self.session = None;
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = self.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        let Screen { wide, high, dark, touch } = screen;
        let metrics = json!({ "width": wide, "height": high, "deviceScaleFactor": 1, "mobile": touch });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
        let begun = Instant::now();
        self.call("Page.navigate", json!({ "url": url(path) }));
        while self.eval("document.documentElement?.dataset.ready || ''") != "yes" {
            assert!(begun.elapsed() < PATIENCE, "the page's script never came to its end: {:?}", self.complaints);
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    /// What an expression of the page's script is, as a value.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let evaluated = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(evaluated["exceptionDetails"].is_null(), "{expression}: {evaluated}");
        evaluated["result"]["value"].clone()
    }

    /// The same, of a text.
    pub(crate) fn read(&mut self, expression: &str) -> String {
        self.eval(expression).as_str().unwrap_or_default().to_owned()
    }

    /// A point of an element in the window, by the parts of its width and height, scrolled to where it can be seen.
    pub(crate) fn point(&mut self, id: &str, x: f64, y: f64) -> [f64; 2] {
        let found = self.eval(&format!(
            "(() => {{ const e = document.getElementById('{id}'); e.scrollIntoView({{ block: 'nearest' }}); \
             const b = e.getBoundingClientRect(); return [b.left + b.width * {x}, b.top + b.height * {y}] }})()"
        ));
        [0, 1].map(|at: usize| found[at].as_f64().expect("a number"))
    }

    pub(crate) fn mouse(&mut self, what: &str, [x, y]: [f64; 2]) {
        let pressed = u8::from(what != "mouseMoved");
        let event = json!({ "type": what, "x": x, "y": y, "button": if pressed == 1 { "left" } else { "none" },
            "buttons": pressed, "clickCount": pressed });
        self.call("Input.dispatchMouseEvent", event);
    }

    pub(crate) fn click(&mut self, id: &str) {
        let at = self.point(id, 0.5, 0.5);
        ["mouseMoved", "mousePressed", "mouseReleased"].iter().for_each(|what| self.mouse(what, at));
    }

    /// Turns the wheel away from the hand while Ctrl is held.
    pub(crate) fn turn_wheel(&mut self, [x, y]: [f64; 2]) {
        let event = json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -240, "modifiers": 2 });
        self.call("Input.dispatchMouseEvent", event);
    }

    pub(crate) fn tap(&mut self, [x, y]: [f64; 2]) {
        self.call("Input.dispatchTouchEvent", json!({ "type": "touchStart", "touchPoints": [{ "x": x, "y": y }] }));
        self.call("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] }));
    }

    /// As one asks for a tooltip on such a screen.
    pub(crate) fn point_at(&mut self, at: [f64; 2], screen: Screen) {
        if screen.touch { self.tap(at) } else { self.mouse("mouseMoved", at) }
    }

    pub(crate) fn press(&mut self, key: &str) {
        let text = if key.len() == 1 { key } else { "" };
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": key, "text": text }));
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }));
    }

    /// What is on the screen, as a PNG, where somebody asked for pictures (`FREEHOLD_SHOTS` names the folder).
    pub(crate) fn shot(&mut self, name: &str, whole_page: bool) {
        let Some(folder) = std::env::var_os("FREEHOLD_SHOTS") else { return };
        let taken = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": whole_page }));
        let picture = decoded(taken["data"].as_str().expect("a picture"));
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), picture).expect("it can be written");
    }

    fn call(&mut self, method: &str, words: Value) -> Value {
        self.ask(method, words).unwrap_or_else(|| panic!("{method}: the browser says no more"))
    }

    /// Asks, and waits for the answer; what the page does meanwhile is noted.
    fn ask(&mut self, method: &str, words: Value) -> Option<Value> {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": words });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.words.write_all(format!("{message}\0").as_bytes()).ok()?;
        loop {
            let heard = self.answers.recv_timeout(PATIENCE).ok()?;
            self.note(&heard);
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return Some(heard["result"].clone());
            }
        }
    }

    fn note(&mut self, heard: &Value) {
        let elsewhere = |url: &Value| !url.as_str().is_some_and(|url| url.starts_with("file:"));
        let bad = match heard["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Log.entryAdded" | "Page.javascriptDialogOpening") => true,
            Some("Network.requestWillBeSent") => elsewhere(&heard["params"]["request"]["url"]),
            _ => false,
        };
        if bad {
            self.complaints.push(heard.to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// A thread that hands on what the browser says, so that waiting for it can end.
fn listen(mut from: impl Read + Send + 'static) -> Receiver<Value> {
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let (mut said, mut piece) = (Vec::new(), [0; 1 << 16]);
        while let Ok(read @ 1..) = from.read(&mut piece) {
            said.extend_from_slice(&piece[..read]);
            while let Some(end) = said.iter().position(|&byte| byte == 0) {
                let message: Vec<u8> = said.drain(..=end).collect();
                if let Ok(message) = serde_json::from_slice(&message[..end])
                    && tell.send(message).is_err()
                {
                    return;
                }
            }
        }
    });
    heard
}

/// The address of a file, whatever its name.
fn url(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let part = |byte: u8| if plain(&byte) { (byte as char).to_string() } else { format!("%{byte:02X}") };
    format!("file://{}", path.bytes().map(part).collect::<String>())
}

/// Bytes out of base 64.
fn decoded(text: &str) -> Vec<u8> {
    let value =
        |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|&d| d == c);
    let bits: Vec<usize> = text.bytes().map_while(value).collect();
    let group = |four: &[usize]| {
        let word = (0..4).fold(0, |word, at| word << 6 | four.get(at).copied().unwrap_or(0));
        [16, 8, 0].map(|shift| (word >> shift) as u8).into_iter().take(four.len() * 3 / 4).collect::<Vec<u8>>()
    };
    bits.chunks(4).flat_map(group).collect()
}
