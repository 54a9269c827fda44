"""Reads the nightly job's `scores` as analysts do.

    python tests/python/read_scores.py SCORES VIEWS

SCORES is the table's folder, VIEWS the SQL that `nodulus tables --sql` prints. Prints, for each reader, the
number of rows and the day of the first one.
"""

import json
import sys
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl

folder, views = sys.argv[1:]
connection = duckdb.connect()
connection.execute(views)
rows, day = connection.execute("SELECT count(*), min(scored_on) FROM scores").fetchone()
found = {"duckdb": {"rows": rows, "scored_on": str(day)}}
frame = pl.scan_parquet(Path(folder) / "**/*.parquet", hive_partitioning=True).collect()
found["polars"] = {"rows": frame.height, "scored_on": str(frame["scored_on"].min())}
frame = pd.read_parquet(folder)
found["pandas"] = {"rows": len(frame), "scored_on": str(frame["scored_on"].iloc[0])}
print(json.dumps(found))
