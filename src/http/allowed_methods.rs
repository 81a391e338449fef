//! Which methods a path takes: Rocket answers 404 for a wrong method, and we answer 405 with `Allow`.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rocket::http::Method;
use rocket::http::uri::Origin;
use rocket::{Request, Route};

/// A mounted path: static segments, `<param>` for one segment, `<param..>` for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Static(String),
    One,
    Rest,
}

impl Pattern {
    /// Reads a path as it is written on a route.
    pub fn new(path: &str) -> Self {
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| {
                match segment
                    .strip_prefix('<')
                    .and_then(|inner| inner.strip_suffix('>'))
                {
                    Some(name) if name.ends_with("..") => Segment::Rest,
                    Some(_) => Segment::One,
                    None => Segment::Static(segment.to_owned()),
                }
            });
        Self(segments.collect())
    }

    /// Whether a request for this address would be routed here, as Rocket decides it: segments are compared
    /// decoded, and empty ones do not count.
    pub fn matches(&self, uri: &Origin<'_>) -> bool {
        let mut given = uri.path().segments();
        for segment in &self.0 {
            match (segment, given.next()) {
                (Segment::Rest, _) => return true,
                (Segment::One, Some(_)) => {}
                (Segment::Static(expected), Some(value)) if expected == value => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }
}

/// The methods of every mounted path; read from the routes at the first request that needs it, so that
/// routes mounted by later fairings count.
#[derive(Debug, Default)]
pub struct AllowedMethods(OnceLock<Vec<(Pattern, Method)>>);

impl AllowedMethods {
    /// The methods of these routes.
    pub fn from_routes<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        Self(OnceLock::from(Self::read(routes)))
    }

    /// The methods routed at this address, as `Allow` lists them; `HEAD` wherever `GET` is.
    pub fn at(&self, uri: &Origin<'_>) -> Vec<&'static str> {
        let patterns = self.0.get().map(Vec::as_slice).unwrap_or_default();
        let mut methods = BTreeSet::new();
        for (_, method) in patterns.iter().filter(|(pattern, _)| pattern.matches(uri)) {
            methods.insert(method.as_str());
            if *method == Method::Get {
                methods.insert(Method::Head.as_str());
            }
        }
        methods.into_iter().collect()
    }

    /// The methods routed at the address of this request.
    pub fn for_request(request: &Request<'_>) -> Vec<&'static str> {
        let Some(allowed) = request.rocket().state::<AllowedMethods>() else {
            return Vec::new();
        };
        allowed
            .0
            .get_or_init(|| Self::read(request.rocket().routes()));
        allowed.at(request.uri())
    }

    fn read<'a>(routes: impl Iterator<Item = &'a Route>) -> Vec<(Pattern, Method)> {
        routes
            .map(|route| (Pattern::new(route.uri.path()), route.method))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    //! Patterns match what Rocket would route.

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(pattern).matches(&Origin::parse(path).unwrap())
    }

    #[test]
    fn segments_are_static_single_or_the_rest() {
        assert!(matches("/v1/orders/<id>", "/v1/orders/ord_1?x=1"));
        assert!(matches("/v1/orders/<id>", "//v1/%6Frders/a%2Fb"));
        assert!(!matches("/v1/orders/<id>", "/v1/orders"));
        assert!(!matches("/v1/orders/<id>", "/v1/orders/ord_1/refunds"));
        assert!(!matches("/v1/orders/<id>", "/v1/payments/ord_1"));
        assert!(
            matches("/assets/<file..>", "/assets/a/b") && matches("/assets/<file..>", "/assets")
        );
        assert!(matches("/", "/") && !matches("/", "/a"));
    }

    #[test]
    fn head_comes_with_get() {
        let route = |method| Route::new(method, "/a/<b>", rocket::route::dummy_handler);
        let routes = [route(Method::Post), route(Method::Get)];
        let allowed = AllowedMethods::from_routes(routes.iter());
        assert_eq!(
            allowed.at(&Origin::parse("/a/1").unwrap()),
            ["GET", "HEAD", "POST"]
        );
        assert!(allowed.at(&Origin::parse("/a").unwrap()).is_empty());
    }
}
