"""Runs each Python block of a Markdown file in a folder, and prints the output of each block."""

import contextlib
import io
import json
import os
import re
import sys

path, folder = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    blocks = re.findall(r"^```python\n(.+?)^```", file.read(), re.S | re.M)
os.chdir(folder)
printed = []
for block in blocks:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(block, path, "exec"), {})
    printed.append(out.getvalue())
print(json.dumps(printed))
