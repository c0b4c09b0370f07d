//! Who is answered, and the headers of every answer.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::page;

/// What a listener asks of requests.
#[derive(Clone)]
pub(super) struct Guard {
    is_loopback: bool,
    token: Option<std::sync::Arc<str>>,
}

/// Whether a request carried the token, where one is asked for.
#[derive(Clone, Copy)]
pub(super) struct Trusted(pub(super) bool);

/// What is answered without the token.
const OPEN_PATHS: [&str; 2] = ["/health", "/ready"];

/// The headers of every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

impl Guard {
    pub(super) fn new(address: SocketAddr, token: Option<&str>) -> Guard {
        Guard { is_loopback: address.ip().is_loopback(), token: token.map(Into::into) }
    }

    fn refusal(&self, request: &Request) -> Result<Trusted, Box<Response>> {
        if self.is_loopback && !names_loopback(request) {
            let text = "this listener answers to names of this machine only: ask for it as 127.0.0.1 or localhost\n";
            return Err(Box::new((StatusCode::MISDIRECTED_REQUEST, text).into_response()));
        }
        let is_trusted = self.token.as_ref().is_none_or(|token| carries(request.headers(), token));
        if !is_trusted && !OPEN_PATHS.contains(&request.uri().path()) {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer, Basic realm=\"aqpipe\", charset=\"UTF-8\"")];
            let text = "this listener asks for its token: as a bearer token, or as the password in a browser\n";
            return Err(Box::new((StatusCode::UNAUTHORIZED, challenge, text).into_response()));
        }
        Ok(Trusted(is_trusted))
    }
}

/// Answers a request, or refuses it.
pub(super) async fn guarded(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.refusal(&request) {
        Ok(trusted) => {
            request.extensions_mut().insert(trusted);
            next.run(request).await
        }
        Err(refusal) => *refusal,
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a request was meant for this machine. A web page elsewhere may have a name that leads here; its browser then asks with
/// that name.
fn names_loopback(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let Some(host) = host.or(request.uri().host()) else {
        // Before HTTP/1.1 there was no such header. No browser is that old.
        return request.version() < Version::HTTP_11;
    };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => inner,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a request carries the token. The comparison takes the same time wherever they differ.
fn carries(headers: &HeaderMap, token: &str) -> bool {
    let Some((scheme, given)) =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '))
    else {
        return false;
    };
    let same = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
    if scheme.eq_ignore_ascii_case("bearer") {
        return same(given.trim().as_bytes());
    }
    let Ok(pair) = STANDARD.decode(given.trim()) else { return false };
    let password = pair.iter().position(|byte| *byte == b':').map(|at| pair[at + 1..].trim_ascii());
    scheme.eq_ignore_ascii_case("basic") && password.is_some_and(same)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_listener_on_loopback_answers_to_names_of_loopback() {
        let asked = |host: &str| {
            let request = Request::builder().header(header::HOST, host).body(Body::empty()).expect("a request");
            names_loopback(&request)
        };
        for host in
            ["127.0.0.1:9600", "127.0.0.1", "127.8.8.8:1", "localhost:9600", "LOCALHOST.", "[::1]:9600", "[::1]"]
        {
            assert!(asked(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9600",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "::1]",
            "10.0.0.1",
        ] {
            assert!(!asked(host), "{host}");
        }
    }

    #[test]
    fn the_token_is_a_bearer_token_or_a_password() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            carries(&headers, "s3cret:x")
        };
        assert!(asked("Bearer s3cret:x") && asked("bearer  s3cret:x"));
        for pair in ["anyone:s3cret:x", ": s3cret:x \n"] {
            assert!(asked(&format!("Basic {}", STANDARD.encode(pair))), "{pair:?}");
        }
        for value in ["Bearer s3cret", "Bearer", "s3cret:x", "Basic s3cret:x", "Basic czNjcmV0Ong=", "Digest s3cret:x"]
        {
            assert!(!asked(value), "{value}");
        }
        assert!(!carries(&HeaderMap::new(), "s3cret:x"));
    }
}
