//! Files in other encodings, and packed ones.

use super::*;

const TEXT: &str =
    "timestamp,station,T (°C)\r\n2004-03-10,Zürich,1.5\r\n2004-03-11,Łódź,-2\r\nbad,Genève,3\r\n2004-03-12,,4\r\n";

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn options() -> Value {
    json!({ "key": { "column": "station" }, "fields": ["T (°C)"] })
}

fn values(bytes: &[u8], more: Value) -> Vec<String> {
    read(bytes, with(options(), more)).values().into_iter().map(str::to_owned).collect()
}

fn expected() -> Vec<String> {
    values(TEXT.as_bytes(), json!({}))
}

#[test]
fn a_file_is_read_by_its_encoding_and_a_mark_of_byte_order_says_it_better() {
    assert_eq!(expected(), ["[Zürich] T (°C)=1.5", "[Łódź] T (°C)=-2", "[-] T (°C)=4"]);
    let marked = format!("\u{feff}{TEXT}");
    let (little, big) = (u16::to_le_bytes, u16::to_be_bytes);
    let windows_1250 = encoding_rs::WINDOWS_1250.encode(TEXT).0.into_owned();
    let gb18030 = encoding_rs::GB18030.encode(TEXT).0.into_owned();
    for (bytes, encoding) in [
        (marked.clone().into_bytes(), "windows-1252"),
        (utf16(&marked, little), "utf-8"),
        (utf16(&marked, big), "utf-8"),
        (utf16(&marked, big), "utf-16le"),
        (utf16(TEXT, little), "utf-16le"),
        (utf16(TEXT, big), "utf-16be"),
        (windows_1250.clone(), "windows-1250"),
        (gb18030, "gb18030"),
        (gzip(&windows_1250), "cp1250"),
        (zstd(&utf16(&marked, little)), "utf-8"),
    ] {
        assert_eq!(values(&bytes, json!({ "encoding": encoding })), expected(), "{encoding}");
    }
}

#[test]
fn single_byte_encodings_are_read_letter_by_letter() {
    for (encoding, word) in
        [("windows-1252", "Zürich"), ("iso-8859-2", "Łódź"), ("koi8-r", "Москва"), ("windows-1253", "Αθήνα")]
    {
        let text = format!("timestamp,station,T (°C)\n2004-03-10,\"{word}\",1\n").replace("T (°C)", "T");
        let bytes = cell_text::encoding(encoding).expect("there is one").encode(&text).0.into_owned();
        let options = json!({ "key": { "column": "station" }, "fields": ["T"], "encoding": encoding });
        assert_eq!(read(&bytes, options).values(), [format!("[{word}] T=1")], "{encoding}");
    }
}

#[test]
fn multi_byte_encodings_are_read_though_their_characters_hold_bytes_of_ascii() {
    for (encoding, word) in [("shift_jis", "東京ソ表"), ("big5", "臺北許功"), ("gbk", "北京"), ("euc-kr", "서울")]
    {
        let text = format!("timestamp;場;T\n2004-03-10;{word};1\n").replace('場', "site");
        let bytes = cell_text::encoding(encoding).expect("there is one").encode(&text).0.into_owned();
        let options = json!({ "delimiter": ";", "text_fields": ["site"], "fields": ["T"], "encoding": encoding });
        assert_eq!(read(&bytes, options).values(), [format!("T=1 site={word:?}")], "{encoding}");
    }
    let refused = json!({ "path": "x.csv", "delimiter": "|", "encoding": "gbk" });
    assert_eq!(problems(refused), ["delimiter: `|` may be a part of other characters in GBK"]);
    for stateful in ["iso-2022-jp", "hz-gb-2312", "klingon"] {
        assert!(problems(json!({ "path": "x.csv", "encoding": stateful }))[0].starts_with("encoding: "), "{stateful}");
    }
}

#[test]
fn cells_that_nobody_asks_for_need_not_be_text_and_others_say_which_option_reads_them() {
    let bytes = b"timestamp,a,note,b\n2004-03-10,1,20 \xb5g,2\n2004-03-11,3,,\xb5\n";
    let some = read(bytes, json!({ "fields": ["a"] }));
    assert_eq!((some.values(), some.dead.len()), (vec!["a=1", "a=3"], 0));
    let all = read(bytes, json!({ "fields": ["a"], "text_fields": ["b"] }));
    assert_eq!(all.values(), ["a=1 b=\"2\""]);
    assert_eq!(all.reasons(), ["column 4 is not UTF-8: `encoding` says what the file is"]);
    assert_eq!(all.dead[0].raw.as_deref(), Some(&b"2004-03-11,3,,\xb5"[..]), "the bytes of the file");
    let mended = read(bytes, json!({ "fields": ["a"], "text_fields": ["b"], "encoding": "latin1" }));
    assert_eq!(mended.values(), ["a=1 b=\"2\"", "a=3 b=\"µ\""]);
}

#[test]
fn dead_letters_keep_the_bytes_of_the_file_and_are_read_again_by_its_encoding() {
    let text = "timestamp,station,T (°C)\nbad,Zürich,1.5\n";
    for (bytes, encoding) in [
        (utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), "utf-8"),
        (utf16(text, u16::to_le_bytes), "utf-16le"),
        (encoding_rs::WINDOWS_1252.encode(text).0.into_owned(), "windows-1252"),
        (gzip(text.as_bytes()), "utf-8"),
    ] {
        let files = Files::one(&bytes);
        let more = with(options(), json!({ "encoding": encoding }));
        let mut split = split(files.options("a.csv", more.clone()), &BuildContext::for_tests()).expect("opens");
        let read = read_all(&mut *split, 10).expect("reads");
        let raw = read.dead[0].raw.clone().expect("bytes");
        if encoding != "utf-8" || bytes[0] == 0xfe {
            assert!(bytes.windows(raw.len()).any(|part| part == raw), "{encoding}: the bytes of the file");
        }
        let schema = split.raw_schema(&read.dead[0]).expect("a form");
        let config = config(files.options("a.csv", with(more, json!({ "timestamp": { "format": "%d.%m.%Y" } }))));
        let mut again = config.dead_letter_decoder(&BuildContext::for_tests()).expect("builds").expect("can");
        let reason = again.decode(0, &raw, Some(&schema)).expect("decodes").map(|_| ()).expect_err("bad");
        assert!(reason.starts_with("`timestamp` is `bad`"), "{encoding}: {reason}");
    }
}

#[test]
fn an_archive_is_known_by_its_first_bytes_and_joined_ones_are_one_text() {
    let (first, second) = TEXT.split_at(60);
    let joined = |pack: fn(&[u8]) -> Vec<u8>| [pack(first.as_bytes()), pack(second.as_bytes())].concat();
    for bytes in [gzip(TEXT.as_bytes()), zstd(TEXT.as_bytes()), joined(gzip), joined(zstd)] {
        let read = read(&bytes, options());
        assert_eq!(read.values(), expected());
        assert_eq!(read.dead[0].place.as_deref(), Some("a.csv:4"));
        assert_eq!(read.dead[0].raw.as_deref(), Some("bad,Genève,3".as_bytes()));
        assert_eq!(read.dead[0].source_offset, TEXT.find("bad").expect("is there") as u64, "a place in the text");
    }
    assert_eq!(read(&gzip(b""), json!({ "columns": ["timestamp", "a"] })).values(), [""; 0]);
}

#[test]
fn an_archive_that_is_cut_off_or_damaged_is_an_error_that_says_so() {
    let long: String = (0..200_000).map(|row| format!("2004-03-10,{row}\n")).collect();
    let text = format!("timestamp,a\n{long}");
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        for (bytes, says) in [
            (packed[..packed.len() - 9].to_vec(), "the archive is cut off"),
            (packed[..packed.len() / 2].to_vec(), "the archive is cut off"),
            (packed[..10].to_vec(), "the archive is cut off"),
        ] {
            let files = Files::one(&bytes);
            let failed = split(files.options("a.csv", json!({})), &BuildContext::for_tests())
                .and_then(|mut split| read_all(&mut *split, 1000))
                .map(|_| ())
                .expect_err("cut off");
            assert!(format!("{failed} {:?}", failed.below()).contains(says), "{failed}");
        }
    }
    for (other, says) in [
        (&b"PK\x03\x04rest"[..], "zip"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0\0", "xz"),
        (b"\xff\xfe\0\0t\0\0\0", "UTF-32"),
    ] {
        let files = Files::one(other);
        let failed =
            built(files.options("a.csv", json!({})), &BuildContext::for_tests()).map(|_| ()).expect_err("no CSV");
        assert!(format!("{failed} {:?}", failed.below()).contains(says), "{failed} {:?}", failed.below());
    }
}

#[test]
fn utf16_without_a_mark_names_the_option() {
    let (message, help) = error(&Files::one(&utf16("timestamp,a\n", u16::to_le_bytes)), "a.csv", json!({}));
    assert!(message.contains("zero bytes") && help.contains("encoding = \"utf-16le\""), "{message}: {help}");
    let bytes = encoding_rs::WINDOWS_1253.encode("timestamp,θ\n").0.into_owned();
    let (_, help) = error(&Files::one(&bytes), "a.csv", json!({}));
    assert!(help.contains("`encoding`"), "{help}");
}

#[test]
fn an_encoding_that_would_read_most_cells_stops_the_run_and_is_named() {
    let many = |cell: &[u8]| [b"2004-03-10,", cell, b"\n"].concat().repeat(10);
    let stops = |text: &[u8], more: Value| {
        let files = Files::one(text);
        let mut split = split(files.options("a.csv", more), &BuildContext::for_tests()).expect("opens");
        let error = read_all(&mut *split, 10).map(drop).expect_err("stops");
        error.help_text().unwrap_or_default().to_owned()
    };
    let text = |cell: &[u8]| [b"timestamp,a\n", &many(cell)[..]].concat();
    for (cell, more, option) in [
        (
            &b"1\xa0234.5"[..],
            json!({ "fields": ["a"] }),
            "windows-1252\"` (or what the file is in) with `thousands = \" \"`",
        ),
        (b"\x964.5", json!({ "fields": ["a"] }), "set `encoding = \"windows-1252\"`"),
        (b"\x964.5", json!({}), "set `encoding = \"windows-1252\"`"),
        (b"Gen\xe8ve", json!({}), "set `encoding = \"windows-1252\"`"),
        (b"Gen\xe8ve", json!({ "text_fields": ["a"] }), "set `encoding = \"windows-1252\"`"),
    ] {
        let help = stops(&text(cell), more.clone());
        assert!(help.contains(option), "{help}");
        let encoded = with(more.clone(), json!({ "encoding": "windows-1252", "thousands": " " }));
        assert_eq!(read(&text(cell), encoded).dead, []);
        let warned = read(&text(cell), with(more, json!({ "on_unreadable": "warn" })));
        assert_eq!((warned.rows.len(), warned.dead.len()), (0, 10), "it is told to go on");
    }
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let utf16: Vec<u8> = "2004-03-10,1.5\n2004-03-11,2.5\n".encode_utf16().flat_map(order).collect();
        let help = stops(&utf16, json!({ "columns": ["timestamp", "a"], "fields": ["a"] }));
        assert!(help.contains("set `encoding = \"utf-16le\"` (or \"utf-16be\")"), "{help}");
    }
}
