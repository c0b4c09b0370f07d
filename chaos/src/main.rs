//! Chaos.
mod input;
mod printer;
mod records;
mod verify;
fn main() {}
