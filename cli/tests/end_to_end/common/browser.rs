//! A headless Chromium, by WebDriver.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How long the page may take to show something.
const SHOWN_TIMEOUT: Duration = Duration::from_secs(90);

/// A browser with one window; it ends on drop.
pub(crate) struct Browser {
    driver: Child,
    runtime: Runtime,
    client: Option<Client>,
}

/// A command of Chromium's driver beyond those of the standard.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    pub(crate) fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.rsplit_once("on port ")?.1.trim_end_matches('.').parse::<u16>().ok())
            .expect("the driver says its port");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let capabilities = json!({
            "goog:chromeOptions": { "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities.as_object().cloned().expect("an object"));
        let client = runtime.block_on(builder.connect(&format!("http://127.0.0.1:{port}"))).expect("a window");
        Browser { driver, runtime, client: Some(client) }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("open until it is dropped")
    }

    fn command(&self, path: &'static str, body: Value) -> Value {
        self.runtime.block_on(self.client().issue_cmd(DriverCommand { path, body })).expect("the driver answers")
    }

    pub(crate) fn open(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).expect("opens");
    }

    /// The value of an expression of JavaScript.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.runtime.block_on(self.client().execute(&script, Vec::new())).expect("a value")
    }

    /// The text of an element as a person sees it; empty where there is none.
    pub(crate) fn text(&self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById('{id}')?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the text of an element holds.
    #[track_caller]
    pub(crate) fn wait_for(&self, id: &str, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let text = self.text(id);
            if holds(&text) {
                return text;
            }
            assert!(began.elapsed() < SHOWN_TIMEOUT, "`{id}` does not show {what}, but:\n{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the console says since it was last asked: errors, and what the page's policy refuses.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// A picture of the whole page in a window of that width, in light or dark.
    pub(crate) fn picture(&self, width: u32, scheme: &str) -> Vec<u8> {
        let execute = |command: &str, params: Value| {
            self.command("goog/cdp/execute", json!({ "cmd": command, "params": params }))
        };
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        execute("Emulation.setEmulatedMedia", scheme);
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        execute("Emulation.setDeviceMetricsOverride", size);
        let picture = execute("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let bytes = picture["data"].as_str().expect("a picture");
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bytes).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(client.close());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
