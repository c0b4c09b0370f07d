//! Asks a process for its status.

use std::time::Duration;

use aqpipe_engine::config::without_secrets;
use aqpipe_engine::monitor::Status;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// An answer from this machine or its neighbour takes milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A status of 1,000 splits, 1,000 stations and 500 fields has about a megabyte.
const STATUS_BYTES_MAX: u64 = 32 << 20;

/// Why there is no status, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoStatus {
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// A process that serves its status.
pub(super) struct Asked {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Asked {
    /// The process behind an address, with or without `http://`.
    pub(super) fn new(url: &str, token: Option<String>) -> Asked {
        let base = url.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        // A proxy before the process may speak TLS.
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false)
            .tls_config(tls);
        Asked { agent: config.build().into(), base, token }
    }

    /// The address, as it may be shown.
    pub(super) fn shown(&self) -> String {
        without_secrets(&self.base)
    }

    /// The status now.
    ///
    /// # Errors
    /// Where nothing answers, or not as `aqpipe run` does.
    pub(super) fn status(&self) -> Result<Status, NoStatus> {
        let base = self.shown();
        let mut request = self.agent.get(format!("{}/api/status", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| NoStatus {
            message: format!("nothing answers at {base}: {}", without_secrets(&error.to_string())),
            help: "is `http` set in [monitor] of the pipeline, or `--http` given to `aqpipe run`, and does it run?",
        })?;
        match response.status().as_u16() {
            200 => {}
            401 => {
                return Err(NoStatus {
                    message: format!("{base} asks for a token"),
                    help: "`--token-env VAR` names the environment variable that holds it",
                });
            }
            code => {
                return Err(NoStatus {
                    message: format!("{base}/api/status answers with status {code}"),
                    help: "is this the address of `aqpipe run`?",
                });
            }
        }
        let body = response.body_mut().with_config().limit(STATUS_BYTES_MAX).read_to_vec();
        let status = body.map_err(|error| error.to_string());
        let status = status.and_then(|body| serde_json::from_slice(&body).map_err(|error| error.to_string()));
        status.map_err(|error| NoStatus {
            message: format!("{base}/api/status does not answer with a status: {error}"),
            help: "is this the address of `aqpipe run`, of this version?",
        })
    }
}
