//! A headless Chromium, driven by WebDriver: the few commands that these tests need are JSON over HTTP, for which a client crate would
//! bring more than it spares.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// No step of a page that works takes longer, even on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with its driver; both end with it.
pub(crate) struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// Opens a window.
    pub(crate) fn open(width: u32, height: u32) -> Browser {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver (Debian: chromium-driver)");
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()));
        let url = format!("http://127.0.0.1:{}/session", port.expect("the port of chromedriver"));
        // The sandbox of the browser needs rights that a container may lack; it shows nothing but the page of this test.
        let size = format!("--window-size={width},{height}");
        let options =
            json!({ "args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", size] });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        // From here on the driver ends with the browser, even if there is no session.
        let mut browser = Browser { driver, session: url };
        let session = call(&browser.session, &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session += &format!("/{}", session["sessionId"].as_str().expect("a session"));
        browser
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        call(&format!("{}/{command}", self.session), body)
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Runs a script and gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a script returns a value.
    pub(crate) fn wait_for(&self, script: &str, wanted: &Value) {
        let start = Instant::now();
        loop {
            let value = self.run(script);
            if value == *wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{script}: {value} instead of {wanted}");
            sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn press_tab(&self) {
        let press = |kind: &str| json!({ "type": kind, "value": "\u{e004}" });
        let keys = json!({ "type": "key", "id": "keys", "actions": [press("keyDown"), press("keyUp")] });
        self.post("actions", &json!({ "actions": [keys] }));
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        found.as_object().and_then(|found| found.values().next()?.as_str()).expect("an element").to_owned()
    }

    pub(crate) fn text_of(&self, selector: &str) -> String {
        let url = format!("{}/element/{}/text", self.session, self.find(selector));
        let answer = ureq::get(&url).config().http_status_as_error(false).build().call();
        value_of(&url, answer).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// A screen of a width and a preference of light or dark.
    pub(crate) fn emulate(&self, width: u32, scheme: &str) {
        let is_phone = width < 600;
        let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_phone });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    pub(crate) fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// What the console of the browser says.
    pub(crate) fn console(&self) -> Vec<String> {
        let lines = self.post("se/log", &json!({ "type": "browser" }));
        lines.as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    /// The whole page as a picture in the build directory.
    pub(crate) fn screenshot(&self, name: &str) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.post("goog/cdp/execute", &json!({ "cmd": "Page.captureScreenshot", "params": parameters }));
        let png = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(format!("{}/{name}.png", env!("CARGO_TARGET_TMPDIR")), png).expect("the picture is written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without its session the driver would leave the browser behind.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn call(url: &str, body: &Value) -> Value {
    let request = ureq::post(url).config().http_status_as_error(false).build();
    value_of(url, request.content_type("application/json").send(body.to_string()))
}

fn value_of(url: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut answer = answer.expect("an answer of chromedriver");
    // A picture of a page has more than the ten megabytes that are usual for an answer.
    let text = answer.body_mut().with_config().limit(100_000_000).read_to_string().expect("text");
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    let value = answer["value"].take();
    assert!(value["error"].is_null(), "{url}: {value}");
    value
}
