//! Transforms: what is done to records on the way.

mod derive;
mod impute;
mod pivot;
mod range_check;
mod score;
mod unpivot;
