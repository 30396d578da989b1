//! What a request must be before anything looks at it, and what every answer says to the browser.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets a request through that reads and whose Host is an address.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut answer = match refusal(&request) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "this page is for reading\n"));
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    (!host.is_some_and(is_address))
        .then_some((StatusCode::MISDIRECTED_REQUEST, "ask by address: http://127.0.0.1:PORT/\n"))
}

/// An address or `localhost`, with a port or without. A page of somebody else's whose name was rebound to our address (DNS
/// rebinding) has that name as its Host, and a browser lets it read all that it is answered.
fn is_address(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|name| name.is_ipv4())
        }
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Nothing but our own files runs, nobody frames the page, nothing of it is kept.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_localhost() {
        for host in
            ["127.0.0.1:8477", "127.0.0.1", "[::1]:8477", "[2001:db8::1]", "localhost:8477", "LOCALHOST"]
        {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "",
            ":8477",
            "evil.example",
            "evil.example:8477",
            "127.0.0.1.evil.example",
            "::1",
            "[::1",
            "[evil]:1",
            "[127.0.0.1]",
            "localhost:http",
            "127.0.0.1:99999",
            "localhost.evil.example:8477",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }
}
