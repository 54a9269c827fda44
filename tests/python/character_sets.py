"""Names of patients in DICOM's character sets.

    python character_sets.py write FOLDER OUT      copies of a series, with a name in each set; prints their folders and names
    python character_sets.py check CASES           a JSON file with the name and the objects of each case

The first names are the examples of PS3.5, annexes H, I, J and K, by their bytes; Python's codecs encode the others. pydicom
reads the names of the copies, and pydicom and highdicom those of the objects.
"""

import json
import pathlib
import sys

import highdicom
import pydicom
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

YAMADA = (
    b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
)
HALF_WIDTH = (
    b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
)
HONG = (
    b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    "Hong^Gildong=洪^吉洞=홍^길동",
)
WANG = "Wang^XiaoDong=王^小东"
ZHANG = (
    b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    "Zhang^XiaoDong=张^小东",
)


def encoded(text, codec):
    return text.encode(codec), text


CASES = {
    "H.3.1": ("\\ISO 2022 IR 87", *YAMADA),
    "H.3.2": ("ISO 2022 IR 13\\ISO 2022 IR 87", *HALF_WIDTH),
    "I.2": ("\\ISO 2022 IR 149", *HONG),
    "J.1": ("ISO_IR 192", *encoded("Wang^XiaoDong=王^小東", "utf-8")),
    "J.2": ("GB18030", *encoded(WANG, "gb18030")),
    "GBK": ("GBK", *encoded(WANG, "gbk")),
    "K.2": ("\\ISO 2022 IR 58", *ZHANG),
    "100": ("ISO_IR 100", *encoded("Buc^Jérôme", "iso8859-1")),
    "101": ("ISO_IR 101", *encoded("Wałęsa^Łukasz", "iso8859-2")),
    "109": ("ISO_IR 109", *encoded("Ħal^Ġużè", "iso8859-3")),
    "110": ("ISO_IR 110", *encoded("Bērziņš^Kārlis", "iso8859-4")),
    "126": ("ISO_IR 126", *encoded("Διονυσιος", "iso8859-7")),
    "127": ("ISO_IR 127", *encoded("قباني^لنزار", "iso8859-6")),
    "138": ("ISO_IR 138", *encoded("שרון^דבורה", "iso8859-8")),
    "144": ("ISO_IR 144", *encoded("Люкceмбypг", "iso8859-5")),
    "148": ("ISO_IR 148", *encoded("Çavuşoğlu^Işıl", "iso8859-9")),
    "166": ("ISO_IR 166", *encoded("สมชาย^ใจดี", "iso8859-11")),
    "extended": (
        "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
        b"Dionysios^\xe9=\x1b-L\xbb\xee=\x1b-F\xc4\xe9",
        "Dionysios^é=Лю=Δι",
    ),
    # The standard's sets do not have these bytes: the name is left out.
    "not UTF-8": ("ISO_IR 192", b"M\xfcller^J", ""),
    "undeclared": ("", b"M\xfcller^J", ""),
}


def write(folder, out):
    slices = [pydicom.dcmread(path) for path in sorted(pathlib.Path(folder).iterdir())]
    made = []
    for n, (case, (sets, raw, name)) in enumerate(CASES.items()):
        own = pathlib.Path(out) / f"{n:02}"
        own.mkdir(parents=True)
        values = sets.split("\\")
        for k, data in enumerate(slices):
            data.SpecificCharacterSet = values if len(values) > 1 else sets
            encodings = convert_encodings(values) if sets else ["iso8859"]
            data.PatientName = PersonName(raw, encodings)
            data.save_as(own / f"{k:03}.dcm")
            assert raw in (own / f"{k:03}.dcm").read_bytes(), case
        read = pydicom.dcmread(own / "000.dcm")
        # pydicom leaves the escape sequences of ISO 2022 IR 58 in a name.
        if name and case != "K.2":
            assert str(read.PatientName) == name, (case, str(read.PatientName))
        made.append({"case": case, "folder": str(own), "name": name})
    print(json.dumps(made))


def check(cases):
    for case in json.loads(pathlib.Path(cases).read_text()):
        seg = highdicom.seg.segread(case["files"]["seg"])
        for data in [seg, pydicom.dcmread(case["files"]["rtstruct"])]:
            assert data.SpecificCharacterSet == "ISO_IR 192", case
            expected = PersonName(case["name"])
            assert str(data.PatientName) == case["name"], (case, str(data.PatientName))
            assert data.PatientName.ideographic == expected.ideographic, case
            assert data.PatientName.phonetic == expected.phonetic, case


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
