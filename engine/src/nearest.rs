//! Suggestions for misspelt names.

/// The likeness (Jaro-Winkler, from 0 to 1) above which one name is taken for a misspelling of another.
const LIKENESS_MIN: f64 = 0.8;

/// The candidate that is most like `name`, where one is alike enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
