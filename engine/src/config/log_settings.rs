//! The settings of `[log]`.

use std::path::PathBuf;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The smallest size at which a log file is put aside: some fifty lines. Below it a file would hold a few lines each.
const LOG_SIZE_MIN: ByteSize = ByteSize::kb(10);

/// The largest one: a file beyond it fills most disks, and a larger number is a slip.
const LOG_SIZE_MAX: ByteSize = ByteSize::tb(1);

/// The form of a rotation, and what is said where something has another one. A number alone could be meant in any unit.
const ROTATION_PATTERN: &str = r"^(daily|[0-9]+(\.[0-9]+)? ?([kKMGT]i?)?B)$";
const ROTATION_FORM: &str = "must be \"daily\" or a size, such as \"100MB\"";

/// Where a pipeline's log goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "rotate": ["file"], "keep": ["rotate"] }))]
pub struct LogSettings {
    /// A file that gets this pipeline's lines, beside the console. By default there is none.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// How lines look in the file.
    #[serde(default)]
    pub format: LogFormat,
    /// The least severe level that is logged.
    #[serde(default)]
    pub level: LogLevel,
    /// When the file is put aside as `FILE.1` and a new one is begun. `"daily"` is with the first line of a day in UTC; a size,
    /// such as `"100MB"`, is before the file grows beyond it. By default it is never.
    #[serde(default)]
    pub rotate: Option<LogRotation>,
    /// How many files are kept that were put aside; older ones are deleted.
    #[serde(default = "default_keep")]
    #[schemars(range(min = 1, max = 1_000))]
    pub keep: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            file: None,
            format: LogFormat::default(),
            level: LogLevel::default(),
            rotate: None,
            keep: default_keep(),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text each.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How severe a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What stops a pipeline.
    Error,
    /// What may need attention.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
    /// Everything.
    Trace,
}

/// When a log file is put aside and a new one is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    extend("pattern" = ROTATION_PATTERN, "patternErrorMessage" = ROTATION_FORM, "examples" = ["daily", "100MB"])
)]
pub enum LogRotation {
    /// With the first line of a day in UTC.
    Daily,
    /// Before it has more bytes than that.
    Size(u64),
}

impl TryFrom<String> for LogRotation {
    type Error = String;

    fn try_from(text: String) -> Result<LogRotation, String> {
        if text == "daily" {
            return Ok(LogRotation::Daily);
        }
        let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        match text.parse::<ByteSize>() {
            Ok(size) if has_unit && size > LOG_SIZE_MAX => {
                Err(format!("must be at most \"{}TB\"", LOG_SIZE_MAX.as_u64() / 1_000_000_000_000))
            }
            Ok(size) if has_unit && size >= LOG_SIZE_MIN => Ok(LogRotation::Size(size.as_u64())),
            Ok(_) if has_unit => Err(format!("must be at least \"{}kB\"", LOG_SIZE_MIN.as_u64() / 1_000)),
            _ => Err(ROTATION_FORM.to_owned()),
        }
    }
}

impl From<LogRotation> for String {
    fn from(rotation: LogRotation) -> String {
        match rotation {
            LogRotation::Daily => "daily".to_owned(),
            LogRotation::Size(bytes) => format!("{bytes}B"),
        }
    }
}

fn default_keep() -> u32 {
    7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LogRotation, String> {
        LogRotation::try_from(text.to_owned())
    }

    #[test]
    fn a_rotation_is_daily_or_a_size_with_its_unit() {
        assert_eq!(parse("daily"), Ok(LogRotation::Daily));
        for (text, bytes) in [("100MB", 100_000_000), ("10 kB", 10_000), ("1.5GiB", 1_610_612_736), ("20000B", 20_000)]
        {
            assert_eq!(parse(text), Ok(LogRotation::Size(bytes)), "{text}");
        }
        for text in ["", "weekly", "Daily", "100", "MB", "-1MB", "1e3MB", "1 XB", "NaNMB", "infMB"] {
            assert_eq!(parse(text), Err(ROTATION_FORM.to_owned()), "{text}");
        }
        for text in ["0MB", "9999B", "0.1kB"] {
            assert_eq!(parse(text), Err("must be at least \"10kB\"".to_owned()), "{text}");
        }
        for text in ["1.1TB", "99999999999999999GB", "999999999999999999999999999TiB"] {
            assert_eq!(parse(text), Err("must be at most \"1TB\"".to_owned()), "{text}");
        }
        assert_eq!(parse("1TB"), Ok(LogRotation::Size(1_000_000_000_000)));
        let size = LogRotation::Size(12_345);
        assert_eq!(parse(&String::from(size)), Ok(size));
    }
}
