//! Finding Apache Kafka: a directory with its jars.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result};

use crate::console::Console;
use crate::maven;

/// The oldest Kafka that runs without ZooKeeper and takes the properties that `up` writes.
const KAFKA_MAJOR_MIN: u32 = 4;
const INSTALL_HELP: &str = "name a directory with an unpacked Apache Kafka 4 (https://kafka.apache.org/downloads), or leave \
                    `--kafka-home` and KAFKA_HOME out: Maven then fetches the jars";

/// An installation of Apache Kafka.
#[derive(Debug)]
pub(crate) struct Install {
    pub(crate) version: String,
    /// The class path of its jars.
    pub(crate) class_path: String,
}

impl Install {
    /// Finds the installation of `--kafka-home`, of KAFKA_HOME, or in the cache, where Maven fetches it if it is missing.
    pub(crate) fn find(kafka_home: Option<&Path>, cache_dir: Option<&Path>, console: &dyn Console) -> Result<Install> {
        let home = kafka_home.map(Path::to_owned).or_else(|| variable("KAFKA_HOME").map(PathBuf::from));
        if let Some(home) = home {
            return Install::at(&home);
        }
        let jars = maven::jars_dir(&cache(cache_dir)?);
        if !maven::is_complete(&jars) {
            maven::fetch(&jars, console)?;
        }
        Install::at(&jars)
    }

    /// The installation in a directory.
    fn at(home: &Path) -> Result<Install> {
        let home = std::path::absolute(home)
            .map_err(|error| Error::new("no usable directory of Apache Kafka").because(error).help(INSTALL_HELP))?;
        let libs = home.join("libs");
        let version = fs::read_dir(&libs)
            .map_err(|error| {
                Error::new(format!("no Apache Kafka in `{}`: `libs` cannot be read", home.display()))
                    .because(error)
                    .help(INSTALL_HELP)
            })?
            .flatten()
            .find_map(|entry| version(entry.file_name().to_str()?).map(str::to_owned));
        let Some(version) = version else {
            return Err(Error::new(format!("no Apache Kafka in `{}`: no libs/kafka_2.13-….jar", home.display()))
                .help(INSTALL_HELP));
        };
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < KAFKA_MAJOR_MIN) {
            return Err(
                Error::new(format!("Apache Kafka {version} in `{}` is too old", home.display())).help(INSTALL_HELP)
            );
        }
        let libs = libs.to_str().filter(|libs| !libs.contains(':')).ok_or_else(|| {
            Error::new(format!("Java cannot take jars from `{}`", libs.display()))
                .help("choose a directory whose name is UTF-8 and has no colon")
        })?;
        Ok(Install { version, class_path: format!("{libs}/*") })
    }
}

/// The version in the name of Kafka's main jar; `None` for every other file.
fn version(file: &str) -> Option<&str> {
    let (scala, version) = file.strip_prefix("kafka_")?.strip_suffix(".jar")?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // Another hyphen belongs to `-sources`, `-javadoc` or `-test`.
    (is_number(scala) && is_number(version)).then_some(version)
}

/// The cache directory.
fn cache(given: Option<&Path>) -> Result<PathBuf> {
    let given = given.map(Path::to_owned).or_else(|| variable("AQPIPE_CACHE_DIR").map(PathBuf::from));
    // By the XDG specification relative paths are ignored.
    let xdg = || variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = given.or_else(|| Some(xdg().or_else(home)?.join("aqpipe"))).ok_or_else(|| {
        Error::new("there is no cache directory for the jars of Apache Kafka")
            .help("set HOME, or name one with `--cache-dir` or AQPIPE_CACHE_DIR")
    })?;
    std::path::absolute(&cache)
        .map_err(|error| Error::new(format!("no usable directory `{}`", cache.display())).because(error))
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(jars: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("libs")).unwrap();
        for jar in jars {
            fs::write(dir.path().join("libs").join(jar), "").unwrap();
        }
        dir
    }

    #[test]
    fn the_version_is_that_of_the_main_jar() {
        let dir = home(&["kafka-clients-9.9.9.jar", "kafka_2.13-4.1.0-test.jar", "kafka_2.13-4.3.1.jar"]);
        let install = Install::at(dir.path()).unwrap();
        assert_eq!(install.version, "4.3.1");
        assert_eq!(install.class_path, format!("{}/libs/*", dir.path().display()));
    }

    #[test]
    fn a_directory_without_kafka_or_with_an_old_one_is_an_error_with_help() {
        for (jars, message) in
            [(&["kafka-clients-4.3.1.jar"][..], "no libs/kafka"), (&["kafka_2.13-3.9.1.jar"], "3.9.1")]
        {
            let error = Install::at(home(jars).path()).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.help_text().is_some_and(|help| help.contains("kafka.apache.org")));
        }
        assert!(Install::at(Path::new("/nowhere")).unwrap_err().to_string().contains("`libs` cannot be read"));
    }
}
