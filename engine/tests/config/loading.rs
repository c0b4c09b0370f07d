//! What a loaded pipeline knows.

use std::path::PathBuf;

use aqpipe_engine::config::{Loader, Overrides, Settings};
use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::stage::Delivery;

use crate::stages::SCHEMAS_GENERATED;
use crate::{GOOD, env, load, registry};

fn good(set: &[&str]) -> aqpipe_engine::config::Pipeline {
    load(GOOD, set).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_good_pipeline_knows_its_stages_and_what_reaches_the_sink() {
    let pipeline = good(&[]);
    assert_eq!(pipeline.name, "good");
    assert_eq!(pipeline.path, PathBuf::from("pipeline.toml"));
    assert_eq!((pipeline.source.label.as_str(), pipeline.source.kind), ("rows", "rows"));
    let labels: Vec<_> = pipeline.transforms.iter().map(|stage| (stage.label.as_str(), stage.kind)).collect();
    assert_eq!(labels, [("fill", "fill"), ("limits", "clamp")]);
    assert_eq!(pipeline.topology, "rows -> fill -> clamp -> lines");
    assert_eq!(pipeline.fields.names().collect::<Vec<_>>(), ["CO(GT)", "T"]);
    assert_eq!(pipeline.numeric_fields.iter().collect::<Vec<_>>(), ["CO(GT)", "T"]);
    assert_eq!(pipeline.delivery, Delivery::ExactlyOnce);
    assert!(pipeline.warnings.is_empty());
    assert_eq!(pipeline.settings.monitor.every_secs, 5);
    assert_eq!(pipeline.settings.commit_interval_ms, Settings::default().commit_interval_ms);
    assert!(pipeline.dead_letter.is_some_and(|stage| stage.kind == "heap"));
}

#[test]
fn the_checksum_of_the_options_changes_with_an_option_and_with_nothing_else() {
    let with_comment = load(&format!("# a comment\n{GOOD}"), &[]).expect("good");
    assert_eq!(good(&[]).options_hash, with_comment.options_hash);
    assert_ne!(good(&[]).options_hash, good(&["source.limit=7"]).options_hash);
}

#[test]
fn what_comes_out_is_decided_by_some_options_and_by_what_they_say_and_not_by_how() {
    let content =
        |text: &str, set: &[&str]| load(text, set).unwrap_or_else(|problems| panic!("{problems}")).content_hash;
    let was = content(GOOD, &[]);
    // Where it goes, a default that is written down, another way to write a number, an order of keys, a name.
    for set in ["sink.path=elsewhere", "sink.packing=none", "transform.limits.ranges.T.max=50", "monitor.every_secs=7"]
    {
        assert_eq!(content(GOOD, &[set]), was, "{set}");
    }
    assert_eq!(content(&GOOD.replace("name = \"good\"", "name = \"other\""), &[]), was);
    for set in
        ["source.limit=7", "transform.limits.ranges.T.max=51", "sink.packing=gzip", "transform.limits.on_fail=reject"]
    {
        assert_ne!(content(GOOD, &[set]), was, "{set}");
    }
    let text = GOOD.replace("[sink]", "[[transform]]\ntype = \"fill\"\nsteps = [{ method = \"forward\" }]\n\n[sink]");
    assert_ne!(content(&text, &[]), was, "another stage");
}

#[test]
fn two_stages_of_a_type_have_two_labels_and_an_id_keeps_its_own() {
    let text = GOOD.replace("[sink]", "[[transform]]\ntype = \"fill\"\nsteps = [{ method = \"forward\" }]\n\n[sink]");
    let labels = |text: &str| -> Vec<String> {
        let pipeline = load(text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        pipeline.transforms.iter().map(|stage| stage.label.clone()).collect()
    };
    assert_eq!(labels(&text), ["fill", "limits", "fill 2"]);
    assert_eq!(labels(&text.replace("\"limits\"", "\"fill\"")), ["fill 2", "fill", "fill 3"]);
}

#[test]
fn a_value_from_outside_is_a_string_where_one_is_wanted_and_toml_elsewhere() {
    let json = |set: &[&str]| {
        let pipeline = good(set);
        (pipeline.options_hash, pipeline.fields.names().map(str::to_owned).collect::<Vec<_>>())
    };
    // The sink's `sort` takes both: TOML comes first, so that `5` is a number and `T` a name.
    assert_eq!(
        json(&["sink.sort=5"]).0,
        load(&GOOD.replace("path = \"out\"", "path = \"out\"\nsort = 5"), &[]).expect("ok").options_hash
    );
    for (set, toml) in [
        ("sink.token=5", "token = \"5\""),
        ("sink.token=\"5\"", "token = \"5\""),
        ("sink.sort=T", "sort = \"T\""),
        ("sink.sort=\"T\"", "sort = \"T\""),
        ("sink.sloppy=true", "sloppy = true"),
        ("sink.packing=gzip", "packing = \"gzip\""),
    ] {
        let written = load(&GOOD.replace("path = \"out\"", &format!("path = \"out\"\n{toml}")), &[]).expect(toml);
        assert_eq!(json(&[set]).0, written.options_hash, "{set}");
    }
    assert_eq!(json(&["source.fields=[\"CO(GT)\", \"T\", \"RH\"]"]).1, ["CO(GT)", "T", "RH"]);
    let from_env =
        load(&GOOD.replace("[sink]", "[sink]\ntoken = \"${NUMBER}\"\nsort = \"${NUMBER}\""), &[]).expect("ok");
    let written = load(&GOOD.replace("[sink]", "[sink]\ntoken = \"5\"\nsort = 5"), &[]).expect("ok");
    assert_eq!(from_env.options_hash, written.options_hash);
}

#[test]
fn overrides_reach_transforms_by_number_id_and_type_and_make_missing_tables() {
    let reaches = |set: &str| assert_ne!(good(&[]).options_hash, good(&[set]).options_hash, "{set}");
    reaches("transform.0.steps=[{ method = \"forward\" }]");
    reaches("transform.0.steps.0.limit=9");
    reaches("transform.fill.steps.1.value=2");
    reaches("transform.limits.on_fail=flag");
    reaches("transform.clamp.ranges.\"CO(GT)\".max=40");
    reaches("transform.clamp.ranges.'CO(GT)'.max=40");
    reaches("transform.0={ type = \"fill\", steps = [{ method = \"forward\" }] }");
    reaches("transform=[]");
    reaches("log.format=json");
    reaches("monitor.alerts.quality=0.5");
    reaches("good:name=other");
    assert_eq!(good(&["source.limit=4", "source.limit=5"]).options_hash, good(&["source.limit=5"]).options_hash);
}

#[test]
fn overrides_for_another_pipeline_are_passed_over() {
    assert_eq!(good(&[]).options_hash, good(&["other:source.limit=1"]).options_hash);
}

#[test]
fn the_real_header_repeats_the_checks_that_an_open_source_left_out() {
    let open = GOOD.replace("fields = [\"CO(GT)\", \"T\"]\n", "");
    let pipeline = load(&open, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(pipeline.fields.open);
    let real =
        |names: &[&str]| Fields { list: names.iter().map(|name| Field::number(name)).collect(), ..Fields::default() };
    assert_eq!(pipeline.check_with(&real(&["CO(GT)", "T", "RH"])).expect("all there").list.len(), 3);
    let problems = pipeline.check_with(&real(&["CO", "T"])).expect_err("no such field");
    assert_eq!(problems.len(), 1);
    let text = problems.render(false);
    assert!(text.contains("there is no field `CO(GT)` here: no stage before this one has it"), "{text}");
    assert!(text.contains("--> pipeline.toml:17:1"), "{text}");
    assert!(text.contains("did you mean `CO`?"), "{text}");
}

#[test]
fn pipelines_that_run_together_have_names_of_their_own_and_overrides_name_one_of_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (a, b) = (path("a.toml", GOOD), path("b.toml", GOOD));
    let c = path("c.toml", &GOOD.replace("\"good\"", "\"better\""));
    let broken = path("d.toml", "name = ");
    let registry = registry();
    let load = |set: &[&str], paths: &[&PathBuf]| {
        let overrides = Overrides::parse(set).unwrap_or_else(|problems| panic!("{problems}"));
        let paths: Vec<_> = paths.iter().map(|path| (*path).clone()).collect();
        Loader::new(&registry, &env).overrides(overrides).load_all(&paths)
    };
    assert!(load(&[], &[&a, &c]).together.is_empty());
    assert!(load(&[], &[&a, &b]).together.render(false).starts_with("error: two pipelines are called `good`\n"));
    let unknown = load(&["bettter:source.limit=1"], &[&a, &c]).together.render(false);
    assert_eq!(
        unknown,
        "error: no pipeline given is called `bettter`\n |\n | --set bettter:source.limit=1\n |       ^^^^^^^ did you mean `better`?\n",
    );
    assert!(load(&["bettter:source.limit=1"], &[&a, &broken]).together.is_empty(), "the broken one may be it");
    let loaded = load(&["better:source.limit=1"], &[&a, &c]);
    let options = |at: usize| loaded.pipelines[at].1.as_ref().expect("good").options_hash;
    assert_ne!(options(0), options(1));
}

#[test]
fn a_schema_is_generated_once_for_all_pipelines_that_are_loaded_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = ["a", "b"].map(|name| {
        let path = directory.path().join(name);
        std::fs::write(&path, GOOD.replace("\"good\"", &format!("\"{name}\""))).expect("written");
        path
    });
    let registry = registry();
    let before = SCHEMAS_GENERATED.get();
    let loaded = Loader::new(&registry, &env).load_all(&paths);
    assert!(loaded.pipelines.iter().all(|(_, pipeline)| pipeline.is_ok()));
    assert_eq!(SCHEMAS_GENERATED.get() - before, 1);
}

#[test]
fn files_that_cannot_be_read_are_said_to_be_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry = registry();
    let said = |path: &std::path::Path| {
        let problems = Loader::new(&registry, &env).load(path).expect_err("unreadable").render(false);
        problems.replace(&directory.path().display().to_string(), "DIR")
    };
    assert_eq!(said(&directory.path().join("none.toml")), "error: there is no file `DIR/none.toml`\n");
    assert_eq!(said(directory.path()), "error: `DIR` is a directory, not a pipeline\n");
    let latin = directory.path().join("latin.toml");
    std::fs::write(&latin, b"name = \"a\"\n# \xe4\n").expect("written");
    assert_eq!(
        said(&latin),
        "error: `DIR/latin.toml` is not UTF-8: line 2 has other bytes\n |\n = help: save the file as UTF-8\n"
    );
}

#[test]
fn overrides_that_are_none_are_all_said() {
    let problems = Overrides::parse(["source.path", "source..path=1", "a b=1", "good:=1", "\"a=1", "ok=1"]);
    insta::assert_snapshot!(problems.expect_err("five mistakes").render(false));
}
