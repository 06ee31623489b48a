//! Which handler answers which path.

use super::query::unescape;
use super::{Answer, Call, Error, Format};
use hyper::{Method, StatusCode};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a route takes as body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Bytes, at most.
    pub bytes: usize,
    /// The forms.
    pub formats: &'static [Format],
    /// Whether a refusal always has a list of the refused items, even an empty one.
    pub indexed: bool,
}

impl Upload {
    /// No body.
    pub const NONE: Upload = Upload {
        bytes: 0,
        formats: &[],
        indexed: false,
    };

    /// JSON of at most that many bytes.
    pub const fn json(bytes: usize) -> Self {
        Upload {
            bytes,
            formats: JSON,
            indexed: false,
        }
    }

    /// JSON or SSZ of at most that many bytes.
    pub const fn json_or_ssz(bytes: usize) -> Self {
        Upload {
            bytes,
            formats: JSON_OR_SSZ,
            indexed: false,
        }
    }

    /// The same, of a list whose refused items are named.
    #[must_use]
    pub const fn indexed(self) -> Self {
        Upload { indexed: true, ..self }
    }
}

/// JSON only.
pub const JSON: &[Format] = &[Format::Json];
/// JSON or SSZ, as the client likes.
pub const JSON_OR_SSZ: &[Format] = &[Format::Json, Format::Ssz];
/// Nothing, or a form that is not negotiated.
pub const ANY: &[Format] = &[];

type Handler<C> = Box<dyn Fn(Arc<C>, Call) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

struct Route<C> {
    method: Method,
    /// The pieces of the path; `None` is any.
    path: Vec<Option<&'static str>>,
    upload: Upload,
    /// The forms of the answer.
    offers: &'static [Format],
    handler: Handler<C>,
}

/// What a route is, to compare with a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `METHOD /path` with open pieces as `{}`.
    pub name: String,
    /// The forms of the request's body.
    pub takes: &'static [Format],
    /// The forms of the answer that are negotiated.
    pub gives: &'static [Format],
}

/// All routes, whose handlers share a context.
pub struct Router<C> {
    routes: Vec<Route<C>>,
}

impl<C> std::fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Router of {} routes", self.routes.len())
    }
}

impl<C> Default for Router<C> {
    fn default() -> Self {
        Router { routes: Vec::new() }
    }
}

/// A route that was found, with the open pieces of the path.
pub(super) struct Found<'r, C> {
    pub(super) path: Vec<String>,
    pub(super) upload: Upload,
    pub(super) offers: &'static [Format],
    pub(super) handler: &'r Handler<C>,
}

impl<C> Router<C> {
    /// A handler for `GET path`, where pieces in braces are open; `offers` are the forms of the answer.
    pub fn get<F, Made>(&mut self, path: &'static str, offers: &'static [Format], handler: F)
    where
        F: Fn(Arc<C>, Call) -> Made + Send + Sync + 'static,
        Made: Future<Output = Answer> + Send + 'static,
    {
        self.add(Method::GET, path, Upload::NONE, offers, handler);
    }

    /// A handler for `POST path` that takes a body.
    pub fn post<F, Made>(&mut self, path: &'static str, upload: Upload, offers: &'static [Format], handler: F)
    where
        F: Fn(Arc<C>, Call) -> Made + Send + Sync + 'static,
        Made: Future<Output = Answer> + Send + 'static,
    {
        self.add(Method::POST, path, upload, offers, handler);
    }

    fn add<F, Made>(
        &mut self,
        method: Method,
        path: &'static str,
        upload: Upload,
        offers: &'static [Format],
        handler: F,
    ) where
        F: Fn(Arc<C>, Call) -> Made + Send + Sync + 'static,
        Made: Future<Output = Answer> + Send + 'static,
    {
        let pieces = path.split('/').skip(1);
        self.routes.push(Route {
            method,
            path: pieces.map(|piece| (!piece.starts_with('{')).then_some(piece)).collect(),
            upload,
            offers,
            handler: Box::new(move |context, call| Box::pin(handler(context, call))),
        });
    }

    /// All routes, in the order in which they were entered.
    pub fn described(&self) -> Vec<Described> {
        let describe = |route: &Route<C>| {
            let pieces: Vec<&str> = route.path.iter().map(|piece| piece.unwrap_or("{}")).collect();
            Described {
                name: format!("{} /{}", route.method, pieces.join("/")),
                takes: route.upload.formats,
                gives: route.offers,
            }
        };
        self.routes.iter().map(describe).collect()
    }

    /// The route of a request. `Err` is 404 without a route and 405 with the methods that there are.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<Found<'_, C>, (Error, String)> {
        let pieces: Vec<&str> = path.split('/').skip(1).collect();
        let mut allowed = Vec::new();
        for route in &self.routes {
            if !matches(&route.path, &pieces) {
                continue;
            }
            // A HEAD is a GET whose body hyper leaves out.
            if route.method == *method || *method == Method::HEAD && route.method == Method::GET {
                let path = open_pieces(&route.path, &pieces).map_err(|error| (error, String::new()))?;
                return Ok(Found {
                    path,
                    upload: route.upload,
                    offers: route.offers,
                    handler: &route.handler,
                });
            }
            allowed.push(route.method.as_str());
        }
        let allowed = allowed.join(", ");
        let error = if allowed.is_empty() {
            Error::not_found("there is no such endpoint")
        } else {
            let message = format!("{method} is not for this endpoint, only {allowed}");
            Error::new(StatusCode::METHOD_NOT_ALLOWED, message)
        };
        Err((error, allowed))
    }
}

fn matches(route: &[Option<&str>], pieces: &[&str]) -> bool {
    route.len() == pieces.len()
        && route
            .iter()
            .zip(pieces)
            .all(|(own, piece)| own.map_or(!piece.is_empty(), |own| own == *piece))
}

fn open_pieces(route: &[Option<&str>], pieces: &[&str]) -> Result<Vec<String>, Error> {
    let open = route.iter().zip(pieces).filter(|(own, _)| own.is_none());
    open.map(|(_, piece)| unescape(piece, false).ok_or_else(|| Error::bad_request("the path has a broken % escape")))
        .collect()
}
