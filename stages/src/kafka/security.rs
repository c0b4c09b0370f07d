//! TLS and SASL: one table for source, sink and dead letter.

use std::fmt;
use std::path::PathBuf;

use aqpipe_engine::stage::Problem;
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::properties::{Properties, ReservedProperty};

/// How to speak to the brokers: encryption and who we are. Take secrets from the environment:
/// `password = "${KAFKA_PASSWORD}"`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Security {
    /// `plaintext`, `ssl` (TLS), `sasl_plaintext` or `sasl_ssl` (a user name, over TLS).
    protocol: Protocol,
    /// A PEM file with the certificates of the authorities to trust. Absent, the system's are looked for.
    #[serde(default)]
    ca_file: Option<PathBuf>,
    /// How the user name is proved; needed by the `sasl_` protocols.
    #[serde(default)]
    sasl_mechanism: Option<Mechanism>,
    /// The user name for SASL.
    #[serde(default)]
    username: Option<String>,
    /// The password for SASL.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    password: Option<String>,
    /// A PEM file with the client's own certificate, where the brokers ask for one.
    #[serde(default)]
    certificate_file: Option<PathBuf>,
    /// A PEM file with the key of that certificate.
    #[serde(default)]
    key_file: Option<PathBuf>,
    /// The password of the key file.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    key_password: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Protocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        }
    }

    fn tls(self) -> bool {
        matches!(self, Protocol::Ssl | Protocol::SaslSsl)
    }

    fn sasl(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslSsl)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The properties behind the table. With a table, they may not be set by their own names.
const RESERVED: &[ReservedProperty] = &[
    ("security.protocol", "set it in `security`"),
    ("ssl.ca.location", "set `ca_file` in `security`"),
    ("ssl.certificate.location", "set `certificate_file` in `security`"),
    ("ssl.key.location", "set `key_file` in `security`"),
    ("ssl.key.password", "set `key_password` in `security`"),
    ("sasl.mechanisms", "set `sasl_mechanism` in `security`"),
    ("sasl.username", "set `username` in `security`"),
    ("sasl.password", "set `password` in `security`"),
];

/// The properties that the table sets.
pub(crate) fn reserved(security: Option<&Security>) -> &'static [ReservedProperty] {
    if security.is_some() { RESERVED } else { &[] }
}

/// Sets up encryption and identity. With `properties` that choose TLS on their own, the system's authorities are
/// looked for too: the library is linked statically and has no directory of its own.
pub(crate) fn apply(security: Option<&Security>, properties: &Properties, config: &mut ClientConfig) {
    match security {
        Some(security) => security.apply(config),
        None => {
            let tls =
                properties.get("security.protocol").is_some_and(|protocol| protocol.to_lowercase().ends_with("ssl"));
            if tls && properties.get("ssl.ca.pem").is_none() {
                config.set("ssl.ca.location", "probe");
            }
        }
    }
}

impl Security {
    /// Problems of the table.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let name = self.protocol.name();
        let mut wrong = |key: &str, message: String| problems.push(Problem::new(["security", key], message));
        if self.protocol.sasl() {
            let missing = [
                ("sasl_mechanism", self.sasl_mechanism.is_none()),
                ("username", self.username.is_none()),
                ("password", self.password.is_none()),
            ];
            for (key, _) in missing.iter().filter(|(_, missing)| *missing) {
                wrong("protocol", format!("`{name}` needs `{key}`"));
            }
            for (key, value) in [("username", &self.username), ("password", &self.password)] {
                if value.as_deref() == Some("") {
                    wrong(key, format!("the {key} is empty"));
                }
            }
        } else {
            let given = [
                ("sasl_mechanism", self.sasl_mechanism.is_some()),
                ("username", self.username.is_some()),
                ("password", self.password.is_some()),
            ];
            for (key, _) in given.iter().filter(|(_, given)| *given) {
                wrong(key, format!("`{key}` has no effect with protocol `{name}`"));
            }
        }
        if !self.protocol.tls() {
            let given = [
                ("ca_file", self.ca_file.is_some()),
                ("certificate_file", self.certificate_file.is_some()),
                ("key_file", self.key_file.is_some()),
                ("key_password", self.key_password.is_some()),
            ];
            for (key, _) in given.iter().filter(|(_, given)| *given) {
                wrong(key, format!("`{key}` has no effect with protocol `{name}`"));
            }
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            let key = if self.key_file.is_some() { "key_file" } else { "certificate_file" };
            wrong(key, "`certificate_file` and `key_file` go together".to_owned());
        }
        problems
    }

    fn apply(&self, config: &mut ClientConfig) {
        config.set("security.protocol", self.protocol.name());
        if self.protocol.tls() {
            match &self.ca_file {
                Some(file) => config.set("ssl.ca.location", file.to_string_lossy()),
                None => config.set("ssl.ca.location", "probe"),
            };
        }
        let files = [("ssl.certificate.location", &self.certificate_file), ("ssl.key.location", &self.key_file)];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        if let Some(mechanism) = self.sasl_mechanism {
            config.set("sasl.mechanisms", mechanism.name());
        }
        let texts = [
            ("ssl.key.password", &self.key_password),
            ("sasl.username", &self.username),
            ("sasl.password", &self.password),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                config.set(name, text);
            }
        }
    }
}

/// Without the secrets.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "…");
        f.debug_struct("Security")
            .field("protocol", &self.protocol)
            .field("ca_file", &self.ca_file)
            .field("sasl_mechanism", &self.sasl_mechanism)
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .field("certificate_file", &self.certificate_file)
            .field("key_file", &self.key_file)
            .field("key_password", &hidden(&self.key_password))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn security(value: serde_json::Value) -> Security {
        serde_json::from_value(value).expect("a security table")
    }

    #[test]
    fn a_password_is_not_shown() {
        let security = security(json!({
            "protocol": "sasl_ssl", "sasl_mechanism": "SCRAM-SHA-512", "username": "u", "password": "hunter2",
        }));
        assert_eq!(security.check(), []);
        let shown = format!("{security:?}");
        assert!(!shown.contains("hunter2") && shown.contains("ScramSha512"), "{shown}");
        let mut config = ClientConfig::new();
        security.apply(&mut config);
        assert_eq!(config.get("sasl.password"), Some("hunter2"));
        assert_eq!(config.get("ssl.ca.location"), Some("probe"));
        config.create_native_config().expect("librdkafka takes it");
    }

    #[test]
    fn sasl_without_a_name_and_names_without_sasl_are_problems() {
        let messages = |value| security(value).check().into_iter().map(|p| p.message).collect::<Vec<_>>().join("; ");
        let missing = messages(json!({"protocol": "sasl_ssl", "username": "u", "password": ""}));
        assert!(missing.contains("needs `sasl_mechanism`") && missing.contains("the password is empty"), "{missing}");
        assert!(messages(json!({"protocol": "ssl", "password": "p"})).contains("no effect"));
        assert!(messages(json!({"protocol": "plaintext", "ca_file": "f"})).contains("no effect"));
        assert!(messages(json!({"protocol": "ssl", "key_file": "f"})).contains("go together"));
    }
}
