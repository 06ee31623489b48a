//! Successful answers: the data with what the API tells about it, as JSON members and as headers.

use super::http::{Body, Call, Format, Response};
use super::ids::Standing;
use super::json;
use consensus::Fork;
use consensus::ssz::{Json, Out, Ssz};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

/// What stands beside `data` in an answer, in the order in which it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    /// Names and JSON of the members beside `data`.
    members: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// Nothing but data.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A member beside `data`, already JSON.
    pub(super) fn member(mut self, name: &'static str, json: impl Into<String>) -> Self {
        self.members.push((name, json.into()));
        self
    }

    /// A header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The fork that the data is of. Spec: beacon-APIs, `version` and `Eth-Consensus-Version`.
    pub(super) fn version(self, fork: Fork) -> Self {
        self.member("version", format!("\"{fork}\""))
            .header(super::http::CONSENSUS_VERSION, fork.name())
    }

    /// Whether the data rests on payloads that nobody has executed. Spec: beacon-APIs, `execution_optimistic`.
    pub(super) fn optimistic(self, optimistic: bool) -> Self {
        self.member("execution_optimistic", optimistic.to_string())
    }

    /// Whether that is so and whether the data is final. Spec: beacon-APIs, `execution_optimistic` and `finalized`.
    pub(super) fn standing(self, standing: Standing) -> Self {
        self.optimistic(standing.optimistic)
            .member("finalized", standing.finalized.to_string())
    }

    /// The beginning of the JSON, up to the data.
    pub(super) fn before_data(&self) -> Vec<u8> {
        let mut out = Out::memory(256);
        out.put(b"{");
        for (name, value) in &self.members {
            out.put(format!("\"{name}\":{value},").as_bytes());
        }
        out.put(b"\"data\":");
        out.into_bytes()
    }

    /// The answer with a body that has been made.
    pub(super) fn with(self, format: Format, body: Body) -> Response {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        for (name, value) in self.headers {
            // What is put into headers here are numbers and names of forks.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }

    /// JSON whose data `write` writes.
    pub(super) fn json(self, write: impl FnOnce(&mut Out)) -> Response {
        let mut out = Out::memory(1024);
        out.put(&self.before_data());
        write(&mut out);
        out.put(b"}");
        self.with(Format::Json, Body::full(out.into_bytes()))
    }

    /// JSON whose data is an object.
    pub(super) fn object(self, write: impl FnOnce(&mut json::Object)) -> Response {
        self.json(|out| json::object(out, write))
    }

    /// A protocol type in the form that the call wants.
    pub(super) fn value<T: Json + Ssz>(self, call: &Call, value: &T, fork: Fork) -> Response {
        match call.format {
            Format::Json => self.json(|out| value.write_json(fork, &[], out)),
            Format::Ssz => self.ssz(value.encode(fork)),
        }
    }

    /// SSZ bytes.
    pub(super) fn ssz(self, bytes: Vec<u8>) -> Response {
        self.with(Format::Ssz, Body::full(bytes))
    }
}

/// An answer that is only a status.
pub(super) fn only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 200 with nothing.
pub(super) fn done() -> Response {
    only(StatusCode::OK)
}
