//! Messages that no client library sends, written to the socket.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends one message with one header, whose name may be any bytes, to partition 0.
pub(crate) fn produce(broker: &str, topic: &str, value: &[u8], header: &[u8]) {
    let mut body = Vec::new();
    body.extend((-1_i16).to_be_bytes()); // no transaction
    body.extend((-1_i16).to_be_bytes()); // acknowledged by all
    body.extend(5_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let batch = batch(value, header);
    body.extend((batch.len() as i32).to_be_bytes());
    body.extend(batch);

    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    string(&mut request, "by-hand");
    request.extend(body);

    let mut socket = TcpStream::connect(broker).expect("a broker");
    socket.write_all(&(request.len() as i32).to_be_bytes()).expect("sent");
    socket.write_all(&request).expect("sent");
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer).expect("an answer");
    // The correlation, one topic by name, one partition, its number, then its error.
    let error = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[error..error + 2], [0, 0], "the broker took it");
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

fn batch(value: &[u8], header: &[u8]) -> Vec<u8> {
    let mut record = vec![0]; // attributes
    varint(&mut record, 0);
    varint(&mut record, 0);
    varint(&mut record, -1); // no key
    varint(&mut record, value.len() as i64);
    record.extend(value);
    varint(&mut record, 1);
    varint(&mut record, header.len() as i64);
    record.extend(header);
    varint(&mut record, 0);

    let mut rest = Vec::new();
    rest.extend(0_i16.to_be_bytes()); // attributes
    rest.extend(0_i32.to_be_bytes()); // last offset
    rest.extend(0_i64.to_be_bytes()); // times
    rest.extend(0_i64.to_be_bytes());
    rest.extend((-1_i64).to_be_bytes()); // not idempotent
    rest.extend((-1_i16).to_be_bytes());
    rest.extend((-1_i32).to_be_bytes());
    rest.extend(1_i32.to_be_bytes());
    varint(&mut rest, record.len() as i64);
    rest.extend(record);

    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes());
    batch.extend((4 + 1 + 4 + rest.len() as i32).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2); // magic
    batch.extend(crc32c(&rest).to_be_bytes());
    batch.extend(rest);
    batch
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}
