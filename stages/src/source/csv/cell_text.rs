//! Cells of other encodings as UTF-8.

use encoding_rs::{BIG5, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

/// A cell without blanks around it.
#[inline]
pub(super) fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => cell.trim_ascii(),
        _ => cell,
    }
}

/// A byte that no UTF-8 has: it marks a cell that is no text.
const NO_TEXT: u8 = 0xff;

/// The encoding of a name, as the WHATWG lists them.
///
/// # Errors
/// Why there is none by which cells can be read.
pub(super) fn encoding(label: &str) -> Result<&'static Encoding, String> {
    let known = Encoding::for_label(label.as_bytes()).or_else(|| Encoding::for_label(&usual_name(label)?.into_bytes()));
    let Some(encoding) = known else {
        return Err(format!("there is no encoding `{label}`"));
    };
    match encoding.is_ascii_compatible() || encoding == UTF_16LE || encoding == UTF_16BE {
        true => Ok(encoding),
        false => Err(format!("text in `{label}` cannot be read from its middle, where a run may have to go on")),
    }
}

/// The name on the web of an encoding that other programs call otherwise: Python's names, and the numbers of Windows's code pages.
fn usual_name(label: &str) -> Option<String> {
    let label = label.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    let name = match label.as_str() {
        "utf-8-sig" | "utf8-sig" | "utf-8-bom" | "utf8-bom" | "cp65001" | "u8" => "utf-8",
        "cp949" | "ms949" | "uhc" => "euc-kr",
        "cp932" | "ms932" | "cp943" => "shift_jis",
        "cp936" | "ms936" => "gbk",
        "cp950" | "ms950" | "big5-tw" => "big5",
        "cp874" => "windows-874",
        "cp28591" | "8859" => "iso-8859-1",
        "mac-roman" | "macroman" => "macintosh",
        "utf-16-le" | "utf16-le" | "utf16le" | "utf16" | "cp1200" => "utf-16le",
        "utf-16-be" | "utf16-be" | "utf16be" | "cp1201" => "utf-16be",
        "latin-9" | "latin9" => "iso-8859-15",
        "latin-10" | "latin10" => "iso-8859-16",
        other => match other.strip_prefix("latin-") {
            Some(number) => return Some(format!("latin{number}")),
            None => other,
        },
    };
    Some(name.to_owned())
}

/// Whether a byte may be a part of another character than the one of ASCII.
pub(super) fn may_be_inside(encoding: &'static Encoding, byte: u8) -> bool {
    [SHIFT_JIS, GBK, GB18030, BIG5].contains(&encoding) && (0x40..0x7f).contains(&byte)
}

/// Turns cells, of which each one ends where `ends` says, into UTF-8. A cell that is no text keeps its bytes, marked so that they
/// are no UTF-8.
pub(super) fn decode_cells(
    encoding: &'static Encoding,
    cells: &mut Vec<u8>,
    ends: &mut [usize],
    decoded: &mut Vec<u8>,
) {
    decoded.clear();
    let mut start = 0;
    for end in ends {
        let cell = &cells[start..*end];
        start = *end;
        match encoding.decode_without_bom_handling_and_without_replacement(cell) {
            Some(text) => decoded.extend_from_slice(text.as_bytes()),
            None => {
                decoded.extend_from_slice(cell);
                decoded.push(NO_TEXT);
            }
        }
        *end = decoded.len();
    }
    if cells.len() < decoded.len() {
        cells.resize(decoded.len().next_power_of_two(), 0);
    }
    cells[..decoded.len()].copy_from_slice(decoded);
}

/// What is to be done about text that is in no known encoding.
pub(super) const ENCODING_HELP: &str = "`encoding` says what it is, such as encoding = \"windows-1252\"; or convert the file, for example with `iconv -f latin1 \
     -t utf-8`";

/// What text is called that is not in the encoding that was expected.
pub(super) fn not_in(encoding: &'static Encoding) -> String {
    if encoding == UTF_8 { "not UTF-8".to_owned() } else { format!("not {}", encoding.name()) }
}

/// Whether cells seem to be a record, and no names: most are numbers and times.
pub(super) fn seem_record<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let (count, values) = cells.fold((0, 0), |(count, values), cell| (count + 1, values + usize::from(is_value(cell))));
    2 * values > count
}

/// Whether a cell looks like a number or a time, and like no name.
pub(super) fn is_value(cell: &str) -> bool {
    let is_letter_of_values = |c: char| matches!(c, 't' | 'T' | 'z' | 'Z' | 'e' | 'E');
    cell.contains(|c: char| c.is_ascii_digit()) && cell.chars().all(|c| !c.is_alphabetic() || is_letter_of_values(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_decoded_one_by_one_and_one_that_is_no_text_spoils_no_other() {
        let windows_1253 = encoding("windows-1253").expect("there is one");
        let mut cells = b"T (\xb0C)\xaa1\xe1".to_vec();
        let (mut ends, mut decoded) = ([6, 7, 8, 9], Vec::new());
        decode_cells(windows_1253, &mut cells, &mut ends, &mut decoded);
        let of = |column: usize| &cells[if column == 0 { 0 } else { ends[column - 1] }..ends[column]];
        assert_eq!((of(0), of(2), of(3)), ("T (°C)".as_bytes(), &b"1"[..], "α".as_bytes()));
        assert!(std::str::from_utf8(of(1)).is_err());
    }

    #[test]
    fn encodings_that_have_a_state_or_are_unknown_are_refused() {
        for label in ["utf-8", "latin1", "windows-1252", "shift_jis", "gbk", "utf-16le", "UTF-16", "cp1250", "koi8-r"] {
            assert!(encoding(label).is_ok(), "{label}");
        }
        for (label, name) in [
            ("latin-1", "windows-1252"),
            ("latin_1", "windows-1252"),
            ("iso8859-1", "windows-1252"),
            ("iso8859_2", "ISO-8859-2"),
            ("latin-2", "ISO-8859-2"),
            ("cp1252", "windows-1252"),
            ("utf-8-sig", "UTF-8"),
            ("utf_8_sig", "UTF-8"),
            ("utf_8", "UTF-8"),
            ("cp949", "EUC-KR"),
            ("euc_kr", "EUC-KR"),
            ("CP932", "Shift_JIS"),
            ("cp936", "GBK"),
            ("cp950", "Big5"),
            ("koi8_r", "KOI8-R"),
            ("utf_16_le", "UTF-16LE"),
        ] {
            assert_eq!(encoding(label).map(Encoding::name), Ok(name), "{label}");
        }
        for label in ["iso-2022-jp", "hz-gb-2312", "iso-2022-kr", "replacement", "utf-7", "klingon", ""] {
            assert!(encoding(label).is_err(), "{label}");
        }
        assert!(may_be_inside(GBK, b'|') && !may_be_inside(GBK, b';') && !may_be_inside(UTF_8, b'|'));
    }
}
