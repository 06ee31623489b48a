//! What goes back when a request cannot be answered: a status and a sentence.

use super::{Body, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::fmt;

/// What was wrong with one item of a list that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The place of the item in the list.
    pub index: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A request that is not answered as asked. Spec: beacon-APIs, `ErrorMessage` and `IndexedErrorMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The status.
    pub code: StatusCode,
    /// A sentence for whoever reads the client's log.
    pub message: String,
    /// The items of a list that were refused, where it was about a list.
    pub failures: Option<Vec<Failure>>,
}

impl Error {
    /// An error of any status.
    pub fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            failures: None,
        }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Error::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing, or not any more.
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(StatusCode::NOT_FOUND, message)
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Error::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500: a bug of this node, or a broken database.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 400 with what is wrong with each refused item. Spec: beacon-APIs, `IndexedErrorMessage`.
    pub fn indexed(message: impl Into<String>, failures: Vec<Failure>) -> Self {
        Error {
            code: StatusCode::BAD_REQUEST,
            message: message.into(),
            failures: Some(failures),
        }
    }

    /// The response.
    pub fn response(&self) -> Response {
        let mut value = json!({ "code": self.code.as_u16(), "message": self.message });
        if let Some(failures) = &self.failures {
            let failure = |failure: &Failure| json!({ "index": failure.index, "message": failure.message });
            value["failures"] = Value::Array(failures.iter().map(failure).collect());
        }
        let mut response = Response::new(Body::full(value.to_string()));
        *response.status_mut() = self.code;
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
