"""Makes compressed/: one small slice in every transfer syntax, and golden.json with its HU by pydicom.

    pip install pydicom numpy pillow pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pylibjpeg-rle pyjpegls imagecodecs
    python compressed_slices.py compressed

`--seed`, `--columns` and `--rows` make other slices, for tests/it/compressed.rs.
"""

import argparse
import io
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    UID,
)

EncapsulatedUncompressed = UID("1.2.840.10008.1.2.1.98")
# Bits stored, sign, RescaleIntercept: every 16-bit value is HU.
IMAGES = {
    "s16": (16, True, 0),
    "u16": (16, False, -32768),
    "s12": (12, True, 0),
    "u12": (12, False, -1024),
    "u8": (8, False, -128),
}
PREDICTORS = {"s16": 4, "u16": 7, "s12": 5, "u12": 6}


def picture(rng, shape, bits, signed):
    """Smooth, flat and noisy parts, and the extremes side by side."""
    j, i = np.indices(shape)
    across, down = i / shape[1], j / shape[0]
    values = 0.55 + 0.3 * np.sin(5 * across) * np.cos(4 * down)
    values[(across - 0.5) ** 2 + (down - 0.4) ** 2 < 0.04] = 0.25
    values += np.where(down > 0.75, rng.normal(0, 0.02, shape), 0)
    values[: shape[0] // 6] = 0.1
    stored = np.clip(values, 0, 1) * (2**bits - 1)
    stored = np.round(stored).astype(np.int64) - (2 ** (bits - 1) if signed else 0)
    least = -(2 ** (bits - 1)) if signed else 0
    stored[-1, -4:] = [least, least + 2**bits - 1, least, least + 2**bits - 1]
    return stored.astype(np.int16 if signed else np.uint16)


def header(shape, image):
    bits, signed, intercept = IMAGES[image]
    dataset = Dataset()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "2.25.1"
    dataset.Modality = "CT"
    dataset.PatientID = image
    dataset.SpacingBetweenSlices = "2.5"
    dataset.StudyInstanceUID = "2.25.2"
    dataset.SeriesInstanceUID = "2.25.3"
    dataset.ImagePositionPatient = ["-10", "-20", "30"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = shape
    dataset.PixelSpacing = ["0.75", "0.5"]
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.RescaleIntercept = str(intercept)
    dataset.RescaleSlope = "1"
    dataset.file_meta = FileMetaDataset()
    return dataset


class Maker:
    def __init__(self, folder, seed, shape):
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.stored = {
            image: picture(self.rng, shape, bits, signed) for image, (bits, signed, _) in IMAGES.items()
        }
        self.stored["u8"] = self.stored["u8"].astype(np.uint8)
        self.shape = shape
        self.files = []

    def words(self, image):
        """Stored values as unsigned bits, as in JPEG."""
        return (self.stored[image].astype(np.int64) & (2 ** IMAGES[image][0] - 1)).astype(
            np.uint8 if image == "u8" else np.uint16
        )

    def write(self, name, image, syntax, frame=None, tolerance=None, fragments=1):
        """Writes a file; `tolerance` is the largest difference from pydicom's HU, none if the syntax is lossless."""
        dataset = header(self.shape, image)
        dataset.file_meta.TransferSyntaxUID = syntax
        if frame is None:
            order = ">" if syntax == ExplicitVRBigEndian else "<"
            dataset.PixelData = self.stored[image].astype(self.stored[image].dtype.newbyteorder(order)).tobytes()
        else:
            dataset.PixelData = encapsulate([frame], fragments_per_frame=fragments, has_bot=fragments > 1)
        dataset["PixelData"].VR = "OB" if frame is not None else "OW"
        dataset["PixelData"].is_undefined_length = frame is not None
        file = self.folder / f"{name}_{image}.dcm"
        dataset.save_as(file, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian)
        intercept = IMAGES[image][2]
        original = self.stored[image].astype(np.int64) + intercept
        entry = {"file": file.name, "transfer_syntax": str(syntax), "image": image}
        if syntax == EncapsulatedUncompressed:
            hu = original  # pydicom does not read it.
        else:
            hu = pixel_array(pydicom.dcmread(file)).astype(np.int64) + intercept
        if tolerance is None:
            assert (hu == original).all(), (name, image, np.abs(hu - original).max())
        else:
            entry |= {"hu": hu.ravel().tolist(), "tolerance": tolerance, "error": int(np.abs(hu - original).max())}
        self.files.append(entry)

    def compressed(self, image, syntax, **options):
        """The frame by pydicom's encoders."""
        dataset = header(self.shape, image)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.PixelData = self.stored[image].tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.compress(syntax, generate_instance_uid=False, **options)
        return next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))

    def lossless_jpeg(self, image, predictor):
        return imagecodecs.jpeg8_encode(
            self.words(image), lossless=True, predictor=predictor, bitspersample=IMAGES[image][0]
        )

    def jpeg_with_restarts(self):
        with io.BytesIO() as file:
            Image.fromarray(self.stored["u8"]).save(file, "JPEG", quality=90, restart_marker_blocks=3)
            return file.getvalue()

    def jpeg_2000(self, image, **options):
        return imagecodecs.jpeg2k_encode(
            self.stored[image], codecformat="j2k", bitspersample=IMAGES[image][0], **options
        )

    def all(self):
        for image in ("s16", "u16"):
            self.write("implicit", image, ImplicitVRLittleEndian)
            self.write("explicit", image, ExplicitVRLittleEndian)
            self.write("big_endian", image, ExplicitVRBigEndian)
            self.write("deflated", image, DeflatedExplicitVRLittleEndian)
            self.write("encapsulated", image, EncapsulatedUncompressed, self.stored[image].tobytes())
            self.write("rle", image, RLELossless, self.compressed(image, RLELossless))
            self.write("htj2k_rpcl", image, HTJ2KLosslessRPCL, imagecodecs.htj2k_encode(self.stored[image], reversible=True))
            self.write("htj2k", image, HTJ2K, imagecodecs.htj2k_encode(self.stored[image], reversible=True))
        for image in ("s16", "u16", "s12", "u12"):
            frame = self.lossless_jpeg(image, PREDICTORS[image])
            self.write("jpeg_lossless", image, JPEGLossless, frame)
            self.write("jpeg_lossless_sv1", image, JPEGLosslessSV1, self.lossless_jpeg(image, 1))
            self.write("jpeg_ls", image, JPEGLSLossless, self.compressed(image, JPEGLSLossless))
            frame = self.jpeg_2000(image, level=0, reversible=True)
            self.write("jpeg_2000_lossless", image, JPEG2000Lossless, frame)
            # imagecodecs has no argument for the bits of HTJ2K: 12 go into 16.
            frame = imagecodecs.htj2k_encode(self.stored[image], reversible=True)
            self.write("htj2k_lossless", image, HTJ2KLossless, frame)
        frame = self.jpeg_2000("s16", level=0, reversible=True)
        self.write("fragments", "s16", JPEG2000Lossless, frame, fragments=3)
        # Decoders round the inverse DCT differently: with 12 bits, pydicom's libjpeg differs from libjpeg-turbo by up to 2.
        self.write("jpeg_baseline", "u8", JPEGBaseline8Bit, imagecodecs.jpeg8_encode(self.stored["u8"], level=90), 1)
        self.write("jpeg_extended", "u12", JPEGExtended12Bit, imagecodecs.jpeg8_encode(self.stored["u12"], level=95, bitspersample=12), 2)
        self.write("jpeg_restarts", "u8", JPEGBaseline8Bit, self.jpeg_with_restarts(), 1)
        for image in ("u16", "u12"):
            self.write("jpeg_ls_near", image, JPEGLSNearLossless, self.compressed(image, JPEGLSNearLossless, jls_error=3), 0)
        for image in ("s16", "u16", "s12", "u12"):
            frame = self.jpeg_2000(image, level=60, reversible=False)
            # The inverse wavelet transform is in floating point, in another order.
            self.write("jpeg_2000", image, JPEG2000, frame, 4 if image.endswith("16") else 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--columns", type=int, default=32)
    arguments.add_argument("--rows", type=int, default=24)
    arguments = arguments.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    maker = Maker(arguments.folder, arguments.seed, (arguments.rows, arguments.columns))
    maker.all()
    images = {
        image: (maker.stored[image].astype(np.int64) + intercept).ravel().tolist()
        for image, (_, _, intercept) in IMAGES.items()
    }
    golden = {
        "pydicom": pydicom.__version__,
        "imagecodecs": imagecodecs.version(),
        "size": [arguments.columns, arguments.rows],
        "images": images,
        "files": maker.files,
    }
    golden["imagecodecs"] = imagecodecs.__version__
    rows = [f"  {json.dumps(file)}" for file in golden.pop("files")]
    text = json.dumps(golden)[:-1] + ', "files": [\n' + ",\n".join(rows) + "\n]}\n"
    (arguments.folder / "golden.json").write_text(text)


main()
