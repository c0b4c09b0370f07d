//! A web hook that is told of alerts.

use std::time::Duration;

use aqpipe_engine::monitor::NotifySettings;
use backon::{BlockingRetryable as _, ExponentialBuilder};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::notification::Notification;

/// The attempts after the first one.
const RETRIES: usize = 4;
/// The pause before the second attempt; each that follows is twice as long.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest pause.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// Posts notifications to one address.
#[derive(Debug)]
pub(super) struct Webhook {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
    retry_delay: Duration,
}

/// Why a notification was not taken: lower case, no full stop, without the address.
#[derive(Debug, PartialEq)]
struct Failure {
    why: String,
    /// Whether it may be taken later.
    is_transient: bool,
}

impl Webhook {
    /// The web hook of the settings, where they have one.
    pub(super) fn of(settings: &NotifySettings, retry_delay: Duration) -> Option<Webhook> {
        let url = settings.webhook.as_ref()?.reveal().to_owned();
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(settings.timeout_secs)))
            // What is sent is for this host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // Alerts are rare: a connection that is kept is closed by then.
            .max_idle_connections(0)
            .user_agent(concat!("aqpipe/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let headers = settings.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        Some(Webhook { agent: config.new_agent(), url, headers: headers.collect(), retry_delay })
    }

    /// Posts a notification, several times where that may help.
    ///
    /// # Errors
    /// Why it was not taken: lower case, no full stop, without the address.
    pub(super) fn post(&self, notification: &Notification) -> Result<(), String> {
        let json = notification.json();
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.retry_delay)
            .with_max_delay(RETRY_DELAY_MAX)
            .with_factor(2.0)
            .with_max_times(RETRIES);
        let posted = (|| self.try_to_post(&json)).retry(pauses).when(|failure: &Failure| failure.is_transient).call();
        posted.map_err(|failure| match failure.is_transient {
            true => format!("{}, {} times", failure.why, RETRIES + 1),
            false => failure.why,
        })
    }

    fn try_to_post(&self, json: &str) -> Result<(), Failure> {
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        // The body of the answer is not read: nothing in it matters.
        match request.send(json) {
            Ok(response) => match response.status().as_u16() {
                200..300 => Ok(()),
                status @ 300..400 => Err(Failure {
                    why: format!(
                        "it answered {status}, and redirects are not followed: `webhook` is where they lead to"
                    ),
                    is_transient: false,
                }),
                status => Err(Failure {
                    why: format!("it answered {status}"),
                    is_transient: matches!(status, 408 | 425 | 429 | 500..),
                }),
            },
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        use ureq::Error;
        let is_wrong = matches!(error, Error::BadUri(_) | Error::Http(_) | Error::InvalidProxyUrl | Error::TlsRequired);
        let why = match error {
            // It repeats the address.
            Error::BadUri(_) => "its address is not valid".to_owned(),
            // It may repeat a header.
            Error::Http(_) => "its address or a header is not valid".to_owned(),
            Error::Timeout(_) => "it did not answer in time (`timeout_secs` in [[monitor.notify]])".to_owned(),
            Error::HostNotFound => "its host is not found".to_owned(),
            error => error.to_string().replace(&self.url, "***"),
        };
        Failure { why, is_transient: !is_wrong }
    }
}
