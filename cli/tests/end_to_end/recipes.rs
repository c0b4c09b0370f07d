//! Every recipe of `docs/recipes.md`: its lines, read by its pipeline, give its rows.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::common::{Kafka, TestDir};
use crate::field;

/// The networks that have a recipe at least.
const NETWORKS: [&str; 13] = [
    "UCI Air Quality",
    "Copies of the UCI file",
    "UK-AIR",
    "EEA",
    "Madrid",
    "OpenAQ",
    "AirNow",
    "US EPA AQS",
    "Beijing",
    "PurpleAir",
    "sensor.community",
    "Telegraf",
    "Kafka Connect",
];

/// A chapter of the page.
struct Recipe {
    network: String,
    /// What stands behind the fence of a block, and the block.
    blocks: Vec<(String, String)>,
}

impl Recipe {
    fn block(&self, info: &str) -> &str {
        let found = self.blocks.iter().find(|(found, _)| found == info);
        &found.unwrap_or_else(|| panic!("{} has no block `{info}`", self.network)).1
    }

    fn is_of_kafka(&self) -> bool {
        self.blocks.iter().any(|(info, _)| info == "json messages")
    }

    /// Writes the recipe as a case.
    fn write(&self, dir: &TestDir) {
        let rest = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\n\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n";
        dir.write("pipeline.toml", format!("name = \"recipe\"\n\n{}{rest}", self.block("toml")));
        dir.write("expected.csv", self.block("csv rows"));
        dir.write("expect.json", json!({ "exit": 0, "dead": 0 }).to_string());
        if self.is_of_kafka() {
            let mut messages = String::new();
            for line in self.block("json messages").lines() {
                let _ = writeln!(messages, "{}", json!({ "key": null, "value": line }));
            }
            dir.write("messages.jsonl", messages);
            return;
        }
        let files = self.blocks.iter().filter_map(|(info, text)| Some((info.strip_prefix("csv ")?, text)));
        for (name, text) in files.filter(|(name, _)| *name != "rows") {
            if name.ends_with(".gz") {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(text.as_bytes()).expect("packs");
                dir.write(name, packed.finish().expect("packs"));
            } else {
                dir.write(name, text);
            }
        }
    }
}

fn recipes() -> Vec<Recipe> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let chapters = page.split("\n## ").skip(1);
    let read = |chapter: &str| {
        let (network, text) = chapter.split_once('\n').expect("a title");
        let fenced = text.split("```").skip(1).step_by(2);
        let blocks = fenced.filter_map(|block| block.split_once('\n')).map(|(info, text)| (info.into(), text.into()));
        Recipe { network: network.into(), blocks: blocks.collect() }
    };
    chapters.map(read).collect()
}

fn run_all(recipes: &[Recipe], kafka: Option<&Kafka>) {
    assert!(!recipes.is_empty());
    let wrong = recipes.iter().filter_map(|recipe| {
        let dir = TestDir::new();
        recipe.write(&dir);
        Some(format!("{}: {}", recipe.network, field::run(&dir.path(""), kafka).err()?))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {} recipes:\n{}", wrong.len(), recipes.len(), wrong.join("\n\n"));
}

#[test]
fn every_network_has_a_recipe() {
    let found: Vec<String> = recipes().into_iter().map(|recipe| recipe.network).collect();
    assert_eq!(found, NETWORKS);
}

#[test]
fn recipes_of_files_give_their_rows() {
    let files: Vec<Recipe> = recipes().into_iter().filter(|recipe| !recipe.is_of_kafka()).collect();
    run_all(&files, None);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn recipes_of_topics_give_their_rows() {
    let topics: Vec<Recipe> = recipes().into_iter().filter(Recipe::is_of_kafka).collect();
    run_all(&topics, Some(&Kafka::from_env()));
}
