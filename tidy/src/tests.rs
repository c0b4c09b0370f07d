//! Each rule fails for a small crate that breaks it.

use crate::{Arrow, ModuleTree, arrows, circles, glob_imports, logic_in_faces, upward_arrows};

fn tree(files: &[(&str, &str)]) -> ModuleTree {
    let sources = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    ModuleTree::parse("lib.rs", &sources).unwrap_or_else(|error| panic!("{error}"))
}

/// The arrows as `from -> to`.
fn arrows_of(files: &[(&str, &str)]) -> Vec<String> {
    let arrow = |arrow: Arrow| format!("{} -> {}", arrow.from, arrow.to);
    arrows(&tree(files)).into_iter().filter(|arrow| arrow.from != "lib.rs").map(arrow).collect()
}

fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    circles(&tree(files)).into_iter().map(|circle| circle.files).collect()
}

const LIB: (&str, &str) = ("lib.rs", "mod a; mod b;");

#[test]
fn every_kind_of_path_is_an_arrow() {
    for user in [
        "use crate::b::Thing;",
        "use super::b::{self, Thing};",
        "use super::b::*;",
        "use super::b as other; fn f() { other::call(); }",
        "fn f(thing: &crate::b::Thing) {}",
        "fn f() { super::b::call() }",
        "fn f() { println!(\"{}\", crate::b::call()); }",
        "fn f() { use crate::b::Thing; }",
        "macro_rules! m { () => { $crate::b::call() } }",
        "mod inner { use super::super::b::Thing; }",
        "impl crate::b::Trait for u8 {}",
        "struct S(pub crate::b::Thing);",
    ] {
        let found = arrows_of(&[LIB, ("a.rs", user), ("b.rs", "pub struct Thing;")]);
        assert_eq!(found, ["a.rs -> b.rs"], "{user}");
    }
}

#[test]
fn what_names_no_file_of_the_crate_is_no_arrow() {
    for user in [
        "use std::fmt; fn f() -> fmt::Result { Ok(()) }",
        "use ::b::Thing;",
        "#[cfg(test)] mod tests { use crate::b::Thing; }",
        "#[cfg(test)] use crate::b::Thing;",
        "pub(in crate::b) struct S { pub(super) x: u8 }",
        "/// See [`crate::b::Thing`].\nstruct S;",
        "fn f() { \"crate::b::Thing\"; }",
        "fn f(x: u8) { x.b::<u8>() }",
    ] {
        let found = arrows_of(&[LIB, ("a.rs", user), ("b.rs", "pub struct Thing;")]);
        assert!(found.is_empty(), "{user}: {found:?}");
    }
}

#[test]
fn a_path_through_a_re_export_leads_to_the_definition() {
    let face = "mod thing; mod user; pub use thing::Thing; pub(crate) use thing as other; use thing::Hidden;";
    let of = |user: &str| {
        arrows_of(&[
            ("lib.rs", "mod room;"),
            ("room/mod.rs", face),
            ("room/thing.rs", "pub struct Thing; pub struct Hidden;"),
            ("room/user.rs", user),
        ])
    };
    for user in ["use super::Thing;", "use crate::room::Thing;", "use super::other::Thing;", "use crate::room::other;"]
    {
        assert!(of(user).contains(&"room/user.rs -> room/thing.rs".to_owned()), "{user}: {:?}", of(user));
    }
    // What the face only imports, and what it does not say, is the face's own.
    for user in ["use super::Hidden;", "use super::Generated;", "use crate::room;"] {
        assert!(of(user).contains(&"room/user.rs -> room/mod.rs".to_owned()), "{user}: {:?}", of(user));
    }
    let globs = arrows_of(&[
        ("lib.rs", "mod a; mod b; mod c; pub use b::*;"),
        ("a.rs", "use crate::Thing;"),
        ("b.rs", "pub use crate::c::Thing;"),
        ("c.rs", "pub struct Thing;"),
    ]);
    assert!(globs.contains(&"a.rs -> c.rs".to_owned()), "{globs:?}");
}

#[test]
fn files_that_use_each_other_are_a_circle() {
    let (a, b) = (("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "use crate::c::C; pub struct B;"));
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    assert_eq!(circles_of(&[lib, a, b, ("c.rs", "use crate::a::A; pub struct C;")]), [["a.rs", "b.rs", "c.rs"]]);
    assert!(circles_of(&[lib, a, b, ("c.rs", "pub struct C;")]).is_empty());
    assert!(circles_of(&[lib, a, b, ("c.rs", "pub struct C; #[cfg(test)] mod tests { use crate::a::A; }")]).is_empty());
}

#[test]
fn a_face_is_no_part_of_a_circle_and_a_parent_with_definitions_is() {
    let child = ("room/child.rs", "use super::Thing; pub struct Child;");
    let thing = ("room/thing.rs", "pub struct Thing;");
    let of = |face: &str| circles_of(&[("lib.rs", "mod room;"), ("room/mod.rs", face), child, thing]);
    assert!(of("mod child; mod thing; pub use child::Child; pub use thing::Thing;").is_empty());
    assert_eq!(of("mod child; mod thing; pub struct Thing;"), [["room/child.rs", "room/mod.rs"]]);
    // What the child uses is defined elsewhere, but it is looked up in the parent's imports.
    assert_eq!(of("mod child; mod thing; use thing::Thing; fn f() {}"), [["room/child.rs", "room/mod.rs"]]);
    assert!(of("mod child; mod thing; pub use thing::Thing; fn f() {}").is_empty());
}

#[test]
fn an_arrow_to_a_room_of_the_same_or_a_higher_tier_is_refused() {
    let tiers: &[&[&str]] = &[&["floor", "ground"], &["upper"]];
    let of = |floor: &str, upper: &str| {
        let tree = tree(&[
            ("lib.rs", "mod floor; mod ground; mod upper; pub use upper::Thing;"),
            ("floor.rs", floor),
            ("ground.rs", "pub struct Ground;"),
            ("upper/mod.rs", "mod thing; pub use thing::Thing; pub use crate::ground::Ground;"),
            ("upper/thing.rs", upper),
        ]);
        upward_arrows(&tree, tiers)
    };
    assert!(of("", "use crate::floor; use crate::ground::Ground; pub struct Thing;").is_empty());
    let upward = |user: &str| of(user, "pub struct Thing;");
    assert_eq!(upward("use crate::upper::Thing;"), ["floor.rs -> upper (crate::upper::Thing)"]);
    assert_eq!(upward("use crate::Thing;"), ["floor.rs -> upper (crate::Thing)"], "through the root");
    assert_eq!(upward("use crate::ground::Ground;"), ["floor.rs -> ground (crate::ground::Ground)"], "one tier");
    let through = upward("use crate::upper::Ground;");
    assert!(through.contains(&"floor.rs -> upper (crate::upper::Ground)".to_owned()), "{through:?}");
    assert_eq!(upward_arrows(&tree(&[("lib.rs", "mod new;"), ("new.rs", "")]), tiers), ["new has no tier"]);
}

#[test]
fn a_face_with_a_definition_is_refused() {
    let of = |face: &str| {
        let tree = tree(&[("lib.rs", "mod a;"), ("a/mod.rs", face), ("a/b.rs", "pub struct B;")]);
        logic_in_faces(&tree)
    };
    assert!(of("//! Docs.\n#![expect(dead_code)] mod b; pub use b::B; #[cfg(test)] mod tests {}").is_empty());
    assert!(of("mod b; inventory::submit! { Descriptor::new::<b::B>() }").is_empty());
    assert_eq!(of("mod b; const X: u8 = 1;"), ["a/mod.rs: const X"]);
    assert_eq!(of("mod b; impl b::B {}"), ["a/mod.rs: impl"]);
    assert_eq!(of("mod b; mod c { pub fn f() {} }"), ["a/mod.rs: mod c", "a/mod.rs: fn f"]);
}

#[test]
fn an_import_of_everything_in_a_module_is_refused() {
    let of = |user: &str| glob_imports(&tree(&[LIB, ("a.rs", user), ("b.rs", "pub enum Thing { A }")]));
    assert_eq!(of("use super::b::*;"), ["a.rs: use super::b::*"]);
    assert_eq!(of("fn f() { use crate::b::*; }"), ["a.rs: use crate::b::*"]);
    for fine in ["pub use crate::b::*;", "use crate::b::Thing::*;", "use proptest::prelude::*;"] {
        assert!(of(fine).is_empty(), "{fine}");
    }
    assert!(of("#[cfg(test)] mod tests { use super::*; }").is_empty());
}

#[test]
fn a_file_that_is_missing_or_broken_is_an_error() {
    let parse = |text: &str| {
        let sources = [("lib.rs".to_owned(), text.to_owned())].into();
        ModuleTree::parse("lib.rs", &sources).expect_err("no tree")
    };
    assert_eq!(parse("mod a;"), "there is no file a/mod.rs");
    assert!(parse("fn").starts_with("lib.rs: "));
}
