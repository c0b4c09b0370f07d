//! The files of the page, all from the binary.

/// The header `Content-Security-Policy` of the page: nothing from elsewhere, nothing inline, nothing evaluated. A form may ask
/// for the page itself, which is how a station is chosen without a script.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file that is served beside the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path on the server.
    pub path: &'static str,
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The files that the page asks for.
pub const ASSETS: [Asset; 4] = [
    Asset { path: "/page.css", content_type: "text/css; charset=utf-8", text: include_str!("page.css") },
    Asset { path: "/pictures.css", content_type: "text/css; charset=utf-8", text: crate::pictures::STYLE },
    Asset { path: "/page.js", content_type: "text/javascript; charset=utf-8", text: include_str!("page.js") },
    Asset { path: "/icon.svg", content_type: "image/svg+xml", text: include_str!("icon.svg") },
];
