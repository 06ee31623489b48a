//! Answers and refusals, in the standard's forms.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A refusal with its sentence.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Problem {
            status,
            message: message.into(),
        }
    }

    /// The request is not what it should be.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, message)
    }

    /// The thing that is named is not here.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, message)
    }

    /// It will be possible later.
    pub(super) fn not_ready(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Something here failed.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

/// A status with JSON, or with nothing.
pub(super) type Reply = (StatusCode, Option<Value>);

/// What a handler gives.
pub(super) type Answer = Result<Reply, Problem>;

/// `{"data": …}` with status 200.
pub(super) fn data(data: Value) -> Reply {
    (StatusCode::OK, Some(json!({ "data": data })))
}

/// A status alone.
pub(super) fn empty(status: StatusCode) -> Reply {
    (status, None)
}

/// The answer as it goes out.
pub(super) fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let (status, body) = match answer {
        Ok((status, body)) => (status, body),
        Err(problem) => {
            let body = json!({"code": problem.status.as_u16(), "message": problem.message});
            (problem.status, Some(body))
        }
    };
    let text = body.map(|body| body.to_string());
    let mut response = Response::new(Full::from(text.clone().unwrap_or_default()));
    *response.status_mut() = status;
    if text.is_some() {
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}
