//! What the answer to a stored object says (PS3.18, 10.5.3).

use super::archive::{Acknowledgement, Answer, SendError};
use super::store_answer;
use serde_json::Value;

/// `FailedSOPSequence`.
const FAILED: &str = "00081198";
/// `FailureReason`.
const REASON: &str = "00081197";
/// `ReferencedSOPSequence`.
const STORED: &str = "00081199";
/// `ReferencedSOPInstanceUID`.
const INSTANCE: &str = "00081155";

/// The outcome that a status of HTTP and a body stand for. The body is DICOM in JSON (PS3.18, F), as was asked for; that of an archive
/// that answers in another format is not read.
pub(super) fn answer(code: u16, body: &[u8], instance: &str) -> Result<Acknowledgement, SendError> {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match code {
        200..=299 | 409 => of_body(code, body.as_ref(), instance),
        300..=399 => Err(SendError::Refused(format!(
            "it answers with another address (HTTP {code}); give that address as `url`"
        ))),
        401 | 403 | 407 => Err(SendError::Refused(format!("it does not let us in (HTTP {code})"))),
        404 | 405 | 410 => Err(SendError::Refused(format!(
            "there is no service to store objects at `url` (HTTP {code})"
        ))),
        408 | 425 | 429 | 500..=599 => {
            Err(SendError::Busy(format!("it cannot store the object now (HTTP {code})")))
        }
        _ => Err(SendError::Object(format!("it does not take the object (HTTP {code})"))),
    }
}

fn of_body(code: u16, body: Option<&Value>, instance: &str) -> Result<Acknowledgement, SendError> {
    let sequence = |tag: &str| body.and_then(|body| body[tag]["Value"].as_array());
    if let Some(failed) = sequence(FAILED).and_then(|all| all.first()) {
        let reason = failed[REASON]["Value"][0].as_u64().and_then(|n| u16::try_from(n).ok());
        return match reason {
            // A failure with a status of success contradicts itself.
            Some(reason) if reason != 0 => {
                store_answer::answer(reason, &format!("{code}, {reason:04X}"))
            }
            _ => Err(SendError::Object(format!("it does not take the object (HTTP {code})"))),
        };
    }
    let stored = sequence(STORED);
    let is_ours = |item: &Value| item[INSTANCE]["Value"][0] == instance;
    match (code, stored) {
        (200..=299, Some(stored)) if stored.iter().any(is_ours) => {
            Ok(Acknowledgement { answer: Answer::Stored, status: code.to_string() })
        }
        // 200 says that all is stored.
        (200, None) => Ok(Acknowledgement { answer: Answer::Stored, status: code.to_string() }),
        (409, _) => Err(SendError::Object(format!("it does not take the object (HTTP {code})"))),
        _ => Err(SendError::Object(format!(
            "its answer does not say that the object is stored (HTTP {code})"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(code: u16, body: &Value) -> Result<Acknowledgement, SendError> {
        answer(code, body.to_string().as_bytes(), "1.2.3")
    }

    fn failed(reason: u64) -> Value {
        json!({FAILED: {"vr": "SQ", "Value": [{REASON: {"vr": "US", "Value": [reason]}}]}})
    }

    fn stored(uid: &str) -> Value {
        json!({STORED: {"vr": "SQ", "Value": [{INSTANCE: {"vr": "UI", "Value": [uid]}}]}})
    }

    #[test]
    fn only_an_answer_for_this_object_is_a_receipt() {
        let yes = Ok(Acknowledgement { answer: Answer::Stored, status: "200".to_owned() });
        assert_eq!(of(200, &stored("1.2.3")), yes);
        assert_eq!(answer(200, b"", "1.2.3"), yes);
        assert_eq!(answer(200, b"<NativeDicomModel/>", "1.2.3"), yes);
        assert_eq!(of(202, &stored("1.2.3")).unwrap().status, "202");
        for (code, body) in
            [(200, stored("1.2.4")), (202, json!({})), (204, json!(3)), (409, json!({}))]
        {
            assert!(matches!(of(code, &body), Err(SendError::Object(_))), "{code} {body}");
        }
        assert!(matches!(answer(202, b"", "1.2.3"), Err(SendError::Object(_))));
        let there = of(409, &failed(0x0111)).unwrap();
        assert_eq!((there.answer, &*there.status), (Answer::AlreadyThere, "409, 0111"));
        assert!(matches!(of(200, &failed(0x0110)), Err(SendError::Object(_))));
        assert!(matches!(of(200, &failed(0)), Err(SendError::Object(_))));
        assert!(matches!(of(202, &failed(1 << 20)), Err(SendError::Object(_))));
        assert!(matches!(of(409, &failed(0xA700)), Err(SendError::Busy(_))));
    }

    #[test]
    fn the_status_says_whom_it_is_about() {
        let none = Value::Null;
        for code in [301, 307, 401, 403, 404, 405] {
            assert!(matches!(of(code, &none), Err(SendError::Refused(_))), "{code}");
        }
        for code in [408, 429, 500, 503] {
            assert!(matches!(of(code, &none), Err(SendError::Busy(_))), "{code}");
        }
        for code in [400, 406, 413, 415] {
            assert!(matches!(of(code, &none), Err(SendError::Object(_))), "{code}");
        }
    }
}
