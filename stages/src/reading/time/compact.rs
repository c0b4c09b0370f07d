//! Formats of times without separators.

/// The formats of so many digits in a row that have a date, and whether they have the time too.
pub(super) fn compact(digits: usize) -> &'static [(&'static str, bool)] {
    match digits {
        5 => &[("%y%j", false)],
        6 => &[("%y%m%d", false), ("%d%m%y", false), ("%m%d%y", false), ("%Y%m", false)],
        7 => &[("%Y%j", false)],
        8 => &[("%Y%m%d", false), ("%d%m%Y", false), ("%m%d%Y", false), ("%y%m%d%H", true)],
        9 => &[("%Y%j%H", true), ("%y%j%H%M", true)],
        10 => &[("%Y%m%d%H", true), ("%d%m%Y%H", true), ("%m%d%Y%H", true), ("%y%m%d%H%M", true), ("%d%m%y%H%M", true)],
        11 => &[("%Y%j%H%M", true)],
        12 => &[
            ("%Y%m%d%H%M", true),
            ("%d%m%Y%H%M", true),
            ("%m%d%Y%H%M", true),
            ("%y%m%d%H%M%S", true),
            ("%d%m%y%H%M%S", true),
        ],
        13 => &[("%Y%j%H%M%S", true)],
        14 => &[("%Y%m%d%H%M%S", true), ("%d%m%Y%H%M%S", true), ("%m%d%Y%H%M%S", true)],
        _ => &[],
    }
}
