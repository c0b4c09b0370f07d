//! Fetches the jars of Apache Kafka with Maven, which verifies checksums and knows the user's proxy and mirrors.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aqpipe_engine::{Error, Result};

use crate::console::Console;
use crate::data_dir::lock_file;
use crate::java::on_path;

const KAFKA_VERSION: &str = "4.3.1";
const KAFKA_JAR: &str = "kafka_2.13-4.3.1.jar";
/// The logging backend, without which a broker logs nothing.
const LOG_JAR: &str = "log4j-slf4j-impl-2.25.3.jar";

const POM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>aqpipe</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>4.3.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.3</version>
    </dependency>
  </dependencies>
</project>
"#;
/// The goal names its version, so that all machines use the same one.
const MAVEN_GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

const OTHER_WAYS_HELP: &str = "or download Apache Kafka 4 from https://kafka.apache.org/downloads, unpack it, and name its directory \
                    with `--kafka-home` or KAFKA_HOME";

/// The directory of the jars in a cache. Like an unpacked Kafka it has them in `libs`.
pub(crate) fn jars_dir(cache: &Path) -> PathBuf {
    cache.join(format!("kafka-{KAFKA_VERSION}"))
}

/// Whether the jars are there. The directory is renamed to this name when it is complete, so two jars stand for all.
pub(crate) fn is_complete(jars_dir: &Path) -> bool {
    let libs = jars_dir.join("libs");
    libs.join(KAFKA_JAR).is_file() && libs.join(LOG_JAR).is_file()
}

/// Fetches the jars into a directory beside `jars_dir`, and renames it when they are complete.
pub(crate) fn fetch(jars_dir: &Path, console: &dyn Console) -> Result<()> {
    let maven = on_path("mvn").ok_or_else(|| {
        Error::new("neither Apache Kafka nor Maven, which could fetch it, was found").help(format!(
            "install Maven (Debian, Ubuntu: `apt install maven`; Fedora: `dnf install maven`; macOS: `brew install \
             maven`), {OTHER_WAYS_HELP}"
        ))
    })?;
    let unusable = |error: io::Error| {
        Error::new(format!("cannot keep the jars of Apache Kafka in `{}`", jars_dir.display())).because(error)
    };
    let cache = jars_dir.parent().ok_or_else(|| Error::bug("a cache without a directory"))?;
    fs::create_dir_all(cache).map_err(|error| unusable(error).help("choose another place with `--cache-dir`"))?;
    let lock = jars_dir.with_extension("lock");
    let _lock = lock_file(&lock, "another `aqpipe kafka up` is fetching Apache Kafka", console)?;
    if is_complete(jars_dir) {
        return Ok(());
    }
    console.err(&format!("fetching Apache Kafka {KAFKA_VERSION} with Maven into {} (44 MB, once)", jars_dir.display()));
    let partial = jars_dir.with_extension("part");
    remove_dir(&partial)
        .and_then(|()| remove_dir(jars_dir))
        .and_then(|()| fs::create_dir_all(&partial))
        .map_err(unusable)?;
    run_maven(&maven, &partial)?;
    if !is_complete(&partial) {
        return Err(Error::new(format!("Maven brought no {KAFKA_JAR} and {LOG_JAR}"))
            .help(format!("try again, {OTHER_WAYS_HELP}")));
    }
    sync(&partial).and_then(|()| fs::rename(&partial, jars_dir)).map_err(unusable)
}

fn run_maven(maven: &Path, partial: &Path) -> Result<()> {
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).map_err(|error| Error::new(format!("cannot write `{}`", pom.display())).because(error))?;
    let output = Command::new(maven)
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(&pom)
        .args([MAVEN_GOAL, "-DincludeScope=runtime", "-DoutputDirectory=libs"])
        .current_dir(partial)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(format!("`{}` cannot be run", maven.display())).because(error))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
    Err(Error::new(format!("Maven could not fetch Apache Kafka {KAFKA_VERSION}")).lines(lines).help(format!(
        "see whether https://repo.maven.apache.org can be reached (a proxy or mirror belongs in ~/.m2/settings.xml), {OTHER_WAYS_HELP}"
    )))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs the jars before their directory is renamed.
fn sync(partial: &Path) -> io::Result<()> {
    let libs = partial.join("libs");
    for entry in fs::read_dir(&libs)? {
        File::open(entry?.path())?.sync_all()?;
    }
    File::open(&libs)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_asks_for_the_jars_that_are_looked_for() {
        for (artifact, jar) in [("kafka_2.13", KAFKA_JAR), ("log4j-slf4j-impl", LOG_JAR)] {
            let version = jar.strip_prefix(artifact).unwrap().strip_prefix('-').unwrap().strip_suffix(".jar").unwrap();
            let asked = format!("<artifactId>{artifact}</artifactId>\n      <version>{version}</version>");
            assert!(POM.contains(&asked), "{asked}");
        }
        assert!(KAFKA_JAR.contains(KAFKA_VERSION));
    }

    #[test]
    fn jars_without_the_last_of_them_are_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        let jars_dir = jars_dir(dir.path());
        fs::create_dir_all(jars_dir.join("libs")).unwrap();
        fs::write(jars_dir.join("libs").join(KAFKA_JAR), "").unwrap();
        assert!(!is_complete(&jars_dir));
        fs::write(jars_dir.join("libs").join(LOG_JAR), "").unwrap();
        assert!(is_complete(&jars_dir));
    }
}
