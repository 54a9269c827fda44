"""Writes one scan with SimpleITK in each format, type and byte order, or reads files that nodulus wrote.

    python image_files.py write FOLDER
    python image_files.py read FOLDER

Prints a list with each file as SimpleITK reads it. Voxels are listed i fastest; positions are LPS, in millimetres. Files
that SimpleITK cannot write (big-endian, one file for each slice, bytes before the voxels) are made from a file that it
wrote, and read with it.
"""

import gzip
import json
import pathlib
import sys

import nibabel
import numpy
import SimpleITK

SIZE = (7, 6, 5)
SPACING = (0.6835938, 0.71, 1.25)
ORIGIN = (-171.3, -180.25, -378.125)

# MetaImage's name of each type.
TYPES = {
    "int8": "MET_CHAR",
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "uint32": "MET_UINT",
    "int64": "MET_LONG_LONG",
    "uint64": "MET_ULONG_LONG",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}


def rotation():
    """A rotation about all three axes."""
    result = numpy.eye(3)
    for axis, angle in enumerate((0.35, -0.2, 0.5)):
        turn = numpy.eye(3)
        a, b = [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = numpy.cos(angle)
        turn[a, b], turn[b, a] = -numpy.sin(angle), numpy.sin(angle)
        result = result @ turn
    return result


def image(values):
    made = SimpleITK.GetImageFromArray(values)
    made.SetSpacing(SPACING)
    made.SetOrigin(ORIGIN)
    made.SetDirection(rotation().ravel().tolist())
    return made


def said(path):
    """A file, or the DICOM series in a folder, as SimpleITK reads it."""
    if path.is_dir():
        found = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))
    else:
        found = SimpleITK.ReadImage(str(path))
    corners = [[i * (n - 1) for i, n in zip(c, found.GetSize())] for c in numpy.ndindex(2, 2, 2)]
    values = SimpleITK.GetArrayFromImage(found)
    whole = values.astype(int)
    assert (whole == values).all(), path
    return {
        "name": path.name,
        "size": found.GetSize(),
        "spacing": found.GetSpacing(),
        "corners": corners,
        "corners_mm": [found.TransformIndexToPhysicalPoint(corner) for corner in corners],
        "values": whole.ravel().tolist(),
    }


def big_endian_metaimage(path, kind):
    """The same voxels in the other byte order."""
    header = path.read_text().replace("BinaryDataByteOrderMSB = False", "BinaryDataByteOrderMSB = True")
    swapped = path.with_name(f"{path.stem}-big.mhd")
    swapped.write_text(header.replace(f"{path.stem}.raw", f"{path.stem}-big.raw"))
    values = numpy.frombuffer(path.with_suffix(".raw").read_bytes(), numpy.dtype(kind).newbyteorder("<"))
    swapped.with_suffix(".raw").write_bytes(values.astype(values.dtype.newbyteorder(">")).tobytes())
    return swapped


def big_endian_nifti(path):
    """The same file by nibabel, in the other byte order."""
    found = nibabel.load(path)
    header = nibabel.Nifti1Header(endianness=">")
    values = numpy.asarray(found.dataobj)
    made = nibabel.Nifti1Image(values.astype(values.dtype.newbyteorder(">")), None, header)
    made.set_qform(found.get_qform(), 1)
    made.set_sform(found.get_sform(), 1)
    made.header.set_xyzt_units("mm")
    swapped = path.with_name(f"{path.stem}-big.nii")
    made.to_filename(swapped)
    assert swapped.read_bytes()[:4] == b"\0\0\1\x5c"
    return swapped


def parts(folder, values):
    """Voxels in one file for each slice, and voxels after other bytes."""
    source = folder / "wide-int16.mhd"
    header = source.read_text().split("ElementDataFile")[0]
    raw = source.with_suffix(".raw").read_bytes()
    share = len(raw) // SIZE[2]
    slices = [raw[n * share : (n + 1) * share] for n in range(SIZE[2])]
    for n, part in enumerate(slices):
        (folder / f"slice{n + 3:03d}.raw").write_bytes(part)
        (folder / f"with header {n}.raw").write_bytes(b"other bytes" + part)
    (folder / "behind.raw").write_bytes(b"other bytes" + raw)
    lists = "".join(f"slice{n + 3:03d}.raw\n" for n in range(SIZE[2]))
    behind = "".join(f"with header {n}.raw\n" for n in range(SIZE[2]))
    for name, before, file in [
        ("pattern.mhd", "", f"slice%03d.raw 3 {SIZE[2] + 2} 1\n"),
        ("pattern-first.mhd", "", "slice%03d.raw 3\n"),
        ("list.mhd", "", f"LIST\n{lists}"),
        ("list-2.mhd", "", f"LIST 2\n{lists}"),
        ("list-behind.mhd", "HeaderSize = 11\n", f"LIST\n{behind}"),
        ("behind-11.mhd", "HeaderSize = 11\n", "behind.raw\n"),
        ("behind-all.mhd", "HeaderSize = -1\n", "behind.raw\n"),
    ]:
        (folder / name).write_text(f"{header}{before}ElementDataFile = {file}")
        yield folder / name
    long = header.replace("MET_SHORT", "MET_LONG")
    (folder / "long.mhd").write_text(f"{long}ElementDataFile = long.raw\n")
    (folder / "long.raw").write_bytes(values.astype("<i4").tobytes())
    yield folder / "long.mhd"
    (folder / "unsized.mhd").write_text(
        header.replace("CompressedData = False", "CompressedData = True")
        + "ElementDataFile = unsized.zraw\n"
    )
    packed = (folder / "wide-int16-packed.zraw").read_bytes()
    (folder / "unsized.zraw").write_bytes(packed)
    yield folder / "unsized.mhd"


def by_one_transform(folder, values):
    """NIfTI by nibabel with only a qform or only an sform, in metres, and with scaling."""
    affine = numpy.eye(4)
    affine[:3, :3] = rotation() @ numpy.diag(SPACING)
    affine[:3, 3] = ORIGIN
    affine = numpy.diag([-1, -1, 1, 1]) @ affine
    for name, qform, sform, unit, step in [
        ("qform.nii", 1, 0, "mm", 1),
        ("sform.nii", 0, 1, "mm", 1),
        ("scanner.nii.gz", 2, 2, "mm", 1),
        ("metre.nii", 1, 1, "meter", 1000),
        ("micron.nii", 1, 1, "micron", 0.001),
    ]:
        scaled = numpy.diag([1 / step, 1 / step, 1 / step, 1]) @ affine
        made = nibabel.Nifti1Image(values.transpose(2, 1, 0), None)
        made.set_qform(scaled, qform)
        made.set_sform(scaled, sform)
        made.header["pixdim"][1:4] = numpy.array(SPACING) / step
        made.header.set_xyzt_units(unit)
        made.to_filename(folder / name)
        yield folder / name
    # Stored values are half the distance from -1024 HU.
    assert (values % 2 == 0).all()
    data = bytearray((folder / "sform.nii").read_bytes())
    data[112:120] = numpy.array([2, -1024], "<f4").tobytes()
    data[352:] = ((values.astype(int) + 1024) // 2).astype("<i2").tobytes()
    (folder / "scaled.nii").write_bytes(data)
    yield folder / "scaled.nii"
    (folder / "scaled.nii.gz").write_bytes(gzip.compress(data))
    yield folder / "scaled.nii.gz"


def write(folder):
    draw = numpy.random.default_rng(20)
    # Every type can hold the narrow scan. Values are even, so that their halves are integers.
    scans = {
        "narrow": draw.integers(0, 128, SIZE[::-1]),
        "wide": 2 * draw.integers(-1512, 2947, SIZE[::-1]),
    }
    paths = []
    for scan, values in scans.items():
        for kind in TYPES:
            if scan == "wide" and kind in ["int8", "uint8", "uint16", "uint32", "uint64"]:
                continue
            made = image(values.astype(kind))
            stem = f"{scan}-{kind}"
            for name, packed in [
                (f"{stem}.mhd", False),
                (f"{stem}-packed.mhd", True),
                (f"{stem}.mha", False),
                (f"{stem}-packed.mha", True),
                (f"{stem}.nii", False),
                (f"{stem}-packed.nii.gz", True),
                (f"{stem}-pair.hdr", False),
            ]:
                SimpleITK.WriteImage(made, str(folder / name), useCompression=packed)
                paths.append(folder / name)
            header = (folder / f"{stem}.mhd").read_text()
            assert f"ElementType = {TYPES[kind]}\n" in header
            paths.append(big_endian_metaimage(folder / f"{stem}.mhd", kind))
            paths.append(big_endian_nifti(folder / f"{stem}.nii"))
    paths.extend(parts(folder, scans["wide"]))
    paths.extend(by_one_transform(folder, scans["wide"].astype("int16")))
    return paths


command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
paths = write(folder) if command == "write" else sorted(folder.iterdir())
images = [p for p in paths if p.is_dir() or p.suffix in [".mhd", ".mha", ".nii", ".gz", ".hdr"]]
print(json.dumps([said(path) for path in images]))
