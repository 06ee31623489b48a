//! Which form a client wants and which it sends: `Accept` with its weights, and `Content-Type`.

use super::Error;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

/// The two forms of what the Beacon API carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/octet-stream`: SSZ.
    Ssz,
}

impl Format {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ssz => "application/octet-stream",
        }
    }
}

/// Ranges of media types that are looked at: clients send two or three, browsers eight.
const RANGES_MAX: usize = 32;

/// One range of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// In thousandths.
    weight: u32,
}

/// The weight of `;q=`, in thousandths; `None` if it is not one. Spec: RFC 9110, "Quality Values".
fn weight(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths: u32 = match rest {
        "" => 0,
        rest if digits => format!("{rest:0<3}").parse().ok()?,
        _ => return None,
    };
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let mut range = Range {
        kind,
        subtype,
        weight: 1000,
    };
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            range.weight = weight(value.trim())?;
        }
    }
    Some(range)
}

impl Range<'_> {
    /// How exactly this range names `format`; `None` if it does not cover it.
    fn names(&self, format: Format) -> Option<u8> {
        let (kind, subtype) = format.media_type().split_once('/')?;
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(kind) => Some(1),
            (own, sub) if own.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) => Some(2),
            _ => None,
        }
    }
}

/// The form to answer in, of those `offered` (the usual one first): the one of highest weight, and of equal ones the one
/// that the client names first. Error 406 where it wants none of them.
///
/// Spec: beacon-APIs, "Requests by default send and receive JSON"; RFC 9110, "Accept".
pub(super) fn best_format(headers: &HeaderMap, offered: &[Format]) -> Result<Format, Error> {
    let mut ranges = Vec::new();
    for header in headers.get_all(ACCEPT) {
        // What cannot be read names nothing that is offered.
        let text = header.to_str().unwrap_or("");
        ranges.extend(text.split(',').filter_map(|part| range(part.trim())));
    }
    ranges.truncate(RANGES_MAX);
    if headers.get(ACCEPT).is_none() {
        return offered.first().copied().ok_or_else(|| not_acceptable(offered));
    }
    let mut best: Option<(u32, usize, Format)> = None;
    for format in offered {
        // The most exact range decides, wherever it stands.
        let named = ranges.iter().enumerate().filter_map(|(place, range)| {
            let exactness = range.names(*format)?;
            Some((exactness, place, range.weight))
        });
        let Some((exactness, place, weight)) =
            named.max_by_key(|(exactness, place, _)| (*exactness, usize::MAX - place))
        else {
            continue;
        };
        // A wildcard prefers nothing by its place.
        let place = if exactness == 2 { place } else { RANGES_MAX };
        let better = best.is_none_or(|(most, first, _)| weight > most || weight == most && place < first);
        if weight > 0 && better {
            best = Some((weight, place, *format));
        }
    }
    best.map(|(_, _, format)| format).ok_or_else(|| not_acceptable(offered))
}

fn names(formats: &[Format]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.media_type()).collect();
    names.join(" or ")
}

fn not_acceptable(offered: &[Format]) -> Error {
    let message = format!(
        "this is answered as {}, which the Accept header leaves out",
        names(offered)
    );
    Error::new(StatusCode::NOT_ACCEPTABLE, message)
}

/// The form of a request's body, of those `taken`; JSON where the header is missing. Error 415 for any other, and for a
/// body that is compressed.
pub(super) fn content_format(headers: &HeaderMap, taken: &[Format]) -> Result<Format, Error> {
    let refused = |what: String| Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(refused("bodies are taken as they are, without Content-Encoding".into()));
    }
    let Some(header) = headers.get(CONTENT_TYPE) else {
        return Ok(Format::Json);
    };
    let text = header.to_str().unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    let mut found = taken
        .iter()
        .filter(|format| format.media_type().eq_ignore_ascii_case(essence));
    let found = found.next().copied();
    found.ok_or_else(|| refused(format!("Content-Type is '{essence}', taken is {}", names(taken))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const BOTH: &[Format] = &[Format::Json, Format::Ssz];

    fn accepted(text: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(text).unwrap());
        best_format(&headers, BOTH).ok()
    }

    #[test]
    fn weights_decide_then_the_order_of_the_client() {
        assert_eq!(best_format(&HeaderMap::new(), BOTH), Ok(Format::Json));
        let cases = [
            (
                "application/octet-stream;q=1.0,application/json;q=0.9",
                Some(Format::Ssz),
            ),
            (
                "application/octet-stream;q=0.5, application/json;q=0.9",
                Some(Format::Json),
            ),
            ("application/json;q=0.9,application/octet-stream", Some(Format::Ssz)),
            ("application/octet-stream, application/json", Some(Format::Ssz)),
            ("application/json, application/octet-stream", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("*/*, application/octet-stream", Some(Format::Ssz)),
            ("application/*;q=0.3", Some(Format::Json)),
            ("APPLICATION/Octet-Stream", Some(Format::Ssz)),
            ("application/json;q=0, */*;q=0.1", Some(Format::Ssz)),
            (
                "application/json; charset=utf-8; Q=0.7, application/octet-stream;q=0.701",
                Some(Format::Ssz),
            ),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;q=1.5", None),
            ("application/json;q=0.1234", None),
            ("", None),
            (";;,,//q=", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(accepted(text), wanted, "{text}");
        }
    }

    #[test]
    fn only_json_is_offered_by_some() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/octet-stream"));
        let error = best_format(&headers, &[Format::Json]).unwrap_err();
        assert_eq!(error.code, StatusCode::NOT_ACCEPTABLE);
        headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.1"));
        assert_eq!(best_format(&headers, &[Format::Json]), Ok(Format::Json));
    }

    #[test]
    fn bodies_come_in_the_forms_taken() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            content_format(&headers, BOTH).map_err(|error| error.code)
        };
        assert_eq!(content_format(&HeaderMap::new(), BOTH), Ok(Format::Json));
        assert_eq!(of("application/json; charset=utf-8"), Ok(Format::Json));
        assert_eq!(of("application/octet-stream"), Ok(Format::Ssz));
        assert_eq!(of("text/plain"), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(content_format(&headers, BOTH).is_err());
    }
}
