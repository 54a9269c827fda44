//! The body of a request that stores an object (PS3.18, 8.6 and 10.5; RFC 2387).

use super::object::StoredObject;

/// The type and the bytes of a request's body.
pub(super) struct RequestBody {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// The body with an object as its one part.
pub(super) fn body(object: &StoredObject) -> RequestBody {
    // A hash of the bytes does not stand in them.
    let boundary = &object.sha256()[..32];
    let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
    let end = format!("\r\n--{boundary}--\r\n");
    let content_type =
        format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
    RequestBody { content_type, bytes: [head.as_bytes(), &object.bytes, end.as_bytes()].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_the_one_part() {
        let object = StoredObject {
            sop_class_uid: "1.2".to_owned(),
            sop_instance_uid: "1.3".to_owned(),
            transfer_syntax: "1.2.840.10008.1.2".to_owned(),
            bytes: b"\r\n--x\0DICM".to_vec(),
            data_start: 0,
        };
        let RequestBody { content_type, bytes } = body(&object);
        let (kind, boundary) = content_type.rsplit_once("; boundary=").unwrap();
        assert_eq!(kind, "multipart/related; type=\"application/dicom\"");
        let expected = format!(
            "--{boundary}\r\nContent-Type: application/dicom\r\n\r\n\r\n--x\0DICM\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        assert_eq!(boundary.len(), 32);
    }
}
