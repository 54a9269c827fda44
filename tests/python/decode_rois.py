"""Decodes every row of `rois` with the lines of Python that a page shows, and compares the images with those of
`nodulus export rois --to npz`.

    python tests/python/decode_rois.py PAGE FOLDER NPZ

PAGE is the Markdown page, FOLDER the folder in which its code finds the store, NPZ the folder of the export. Prints the
number of slices and of nodules that were compared.
"""

import glob
import json
import os
import re
import sys

import numpy
import pandas

page, folder, npz = sys.argv[1:]
npz = os.path.abspath(npz)
with open(page, encoding="utf-8") as file:
    blocks = re.findall(r"^```python\n(.+?)^```", file.read(), re.S | re.M)
[block] = [block for block in blocks if "unpackbits" in block]
os.chdir(folder)
# The block as it stands, with its own row.
exec(compile(block, page, "exec"), {})
decode = [line for line in block.splitlines() if re.match("(hu|mask) =", line)]
assert len(decode) == 2, decode
decode = compile("\n".join(decode), page, "exec")
[read] = re.findall(r'read_parquet\("(.+?)"\)', block)
rows = pandas.read_parquet(read)

slices = 0
exported = sorted(glob.glob(os.path.join(npz, "*.npz")))
for path in exported:
    region = numpy.load(path)
    of_nodule = rows[rows["nodule_id"] == str(region["nodule_id"])].set_index("slice_index")
    assert sorted(of_nodule.index) == region["slice_index"].tolist()
    for k, slice_index in enumerate(region["slice_index"]):
        names = {"numpy": numpy, "row": of_nodule.loc[slice_index]}
        exec(decode, names)
        assert names["hu"].dtype == numpy.int16 and numpy.array_equal(names["hu"], region["hu"][k])
        assert numpy.array_equal(names["mask"], region["mask"][k])
        slices += 1
print(json.dumps({"nodules": len(exported), "slices": slices, "rows": len(rows)}))
