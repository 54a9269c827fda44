//! What a status of C-STORE says (PS3.4, B.2.3; PS3.7, annex C).

use super::archive::{Acknowledgement, Answer, SendError};

/// There is an object with this UID.
pub(super) const DUPLICATE: u16 = 0x0111;

/// The outcome that a status stands for; `status` is the one to keep.
pub(super) fn answer(code: u16, status: &str) -> Result<Acknowledgement, SendError> {
    let has = |answer| Ok(Acknowledgement { answer, status: status.to_owned() });
    match code {
        // Success and warnings: the object is stored, perhaps with elements changed or left out.
        0 | 0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => has(Answer::Stored),
        DUPLICATE => has(Answer::AlreadyThere),
        0xA700..=0xA7FF => {
            Err(SendError::Busy(format!("it is out of resources (status {status})")))
        }
        0x0124 => Err(SendError::Refused(format!("it takes nothing from us (status {status})"))),
        0x0122 => {
            Err(SendError::Object(format!("it does not take the object's class (status {status})")))
        }
        0xA900..=0xA9FF => Err(SendError::Object(format!(
            "the object is not of the class that it is sent as (status {status})"
        ))),
        0xC000..=0xCFFF => {
            Err(SendError::Object(format!("it does not understand the object (status {status})")))
        }
        _ => Err(SendError::Object(format!("it does not take the object (status {status})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_outcome() {
        let of = |code: u16| answer(code, &format!("{code:04X}"));
        let stored =
            |code: u16| Acknowledgement { answer: Answer::Stored, status: format!("{code:04X}") };
        for code in [0, 0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xBFFF] {
            assert_eq!(of(code), Ok(stored(code)));
        }
        assert_eq!(of(0x0111).unwrap().answer, Answer::AlreadyThere);
        assert!(
            matches!(of(0xA700), Err(SendError::Busy(text)) if text.ends_with("(status A700)"))
        );
        assert!(matches!(of(0x0124), Err(SendError::Refused(_))));
        for code in [0x0122, 0x0117, 0xA800, 0xA900, 0xC000, 0xFE00, 0xFF00, 0xFFFF] {
            assert!(matches!(of(code), Err(SendError::Object(_))), "{code:04X}");
        }
    }
}
