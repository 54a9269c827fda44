//! numpy's `.npz`: named arrays in one file, for `numpy.load`.
//!
//! Source: `numpy.lib.format` (version 1.0 of an array's header) and PKWARE's APPNOTE (the archive).

mod array;
mod zip_writer;

pub use array::{Array, Values};

use fs_err as fs;
use std::io;
use std::path::Path;

/// Writes named arrays in the given order, each as `NAME.npy` of the archive; without arrays the archive is empty.
/// The same arrays give the same bytes.
///
/// # Errors
///
/// Fails if the file cannot be written, an array has more or fewer values than its shape, or an array or the archive
/// exceeds 4 GiB.
pub fn write(path: &Path, arrays: &[(&str, Array)]) -> io::Result<()> {
    let mut archive = zip_writer::ZipWriter::default();
    for (name, array) in arrays {
        archive.add(&format!("{name}.npy"), &array.to_npy()?)?;
    }
    fs::write(path, archive.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_numpys_header() {
        let values = vec![1, -2, 3, 4, 5, 6];
        let npy = Array::new(&[1, 2, 3], Values::I16(values)).to_npy().unwrap();
        assert_eq!(&npy[..8], b"\x93NUMPY\x01\x00");
        let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
        assert_eq!((10 + length) % 64, 0);
        let header = std::str::from_utf8(&npy[10..10 + length]).unwrap();
        let dictionary = "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 2, 3), }";
        assert!(header.starts_with(dictionary) && header.ends_with(" \n"), "{header}");
        assert_eq!(&npy[10 + length..14 + length], [1, 0, 254, 255]);
        assert_eq!(npy.len(), 10 + length + 12);
    }

    #[test]
    fn text_and_vectors_have_shapes_of_their_own() {
        let header = |array: Array| String::from_utf8_lossy(&array.to_npy().unwrap()).into_owned();
        assert!(header(Array::text("µm")).contains("'<U2', 'fortran_order': False, 'shape': (), "));
        assert!(header(Array::text("")).contains("'<U1'"));
        assert!(header(Array::new(&[2], Values::F64(vec![1.0, 2.0]))).contains("'shape': (2,), "));
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        for shape in [&[2usize, 2][..], &[usize::MAX, 2], &[]] {
            let error = Array::new(shape, Values::U8(vec![1, 2, 3])).to_npy().unwrap_err();
            assert!(error.to_string().contains("3 values"), "{error}");
        }
    }
}
