//! ACLs on a broker, requested byte by byte because the client library has no call for them.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The type of a resource, as Kafka numbers it.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    Topic = 2,
    Transactions = 5,
}

/// Denies everybody the right to write to a resource.
pub(crate) fn deny_write(broker: &str, resource: Resource, name: &str) {
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    body.push(resource as u8);
    string(&mut body, name);
    body.push(3); // a literal name
    string(&mut body, "User:ANONYMOUS");
    string(&mut body, "*");
    body.push(4); // write
    body.push(2); // deny

    let mut request = Vec::new();
    request.extend(30_i16.to_be_bytes()); // CreateAcls
    request.extend(1_i16.to_be_bytes());
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
    // Correlation id, throttle time, number of results, then the error of the first one.
    assert_eq!(answer[12..14], [0, 0], "the broker took it: {answer:?}");
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}
