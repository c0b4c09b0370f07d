//! Finding a Java that can run Apache Kafka.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use aqpipe_engine::{Error, Result};

/// The oldest Java that Kafka 4's broker runs on.
const JAVA_MAJOR_MIN: u32 = 17;
const JAVA_HELP: &str = "Apache Kafka needs Java 17 or newer: install it (Debian, Ubuntu: `apt install \
                    openjdk-17-jre-headless`; Fedora: `dnf install java-21-openjdk-headless`; macOS: `brew install \
                    openjdk@21`; or https://adoptium.net) and have `java` in PATH, or set JAVA_HOME";

/// Finds the `java` of JAVA_HOME, or the first one in PATH.
pub(crate) fn find() -> Result<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")).filter(|java| java.is_file());
    let java = home.or_else(|| on_path("java")).ok_or_else(|| Error::new("no Java was found").help(JAVA_HELP))?;
    let output = Command::new(&java)
        .arg("-version")
        .output()
        .map_err(|error| Error::new(format!("`{}` cannot be run", java.display())).because(error).help(JAVA_HELP))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match major(&text) {
        Some(version) if version >= JAVA_MAJOR_MIN => Ok(java),
        Some(version) => {
            Err(Error::new(format!("`{}` is Java {version}, which is too old", java.display())).help(JAVA_HELP))
        }
        // macOS has a placeholder `java` that prints where to get one.
        None => Err(Error::new(format!("`{} -version` names no version", java.display()))
            .because(text.trim().to_owned())
            .help(JAVA_HELP)),
    }
}

/// The major version in the output of `java -version`: 8 for `1.8.0_392`, 17 for `17.0.15`.
fn major(text: &str) -> Option<u32> {
    let version = text.split_once(" version \"")?.1;
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

/// The first program of this name in PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_ways_to_name_a_version_are_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"21\" 2023-09-19\n"), Some(21));
        assert_eq!(major("java version \"1.8.0_392\"\n"), Some(8));
        assert_eq!(major("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(major("Unable to locate a Java Runtime."), None);
    }
}
