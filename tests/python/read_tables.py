"""Reads every table by what `nodulus tables` prints, with pandas, pyarrow, polars and DuckDB, and compares all values that
are not pixels with those that `nodulus show` prints.

    python tests/python/read_tables.py TABLES VIEWS ROWS

TABLES is the JSON of `nodulus tables --json`, VIEWS the SQL of `nodulus tables --sql`, ROWS a folder with a file
`TABLE.jsonl` of `nodulus show TABLE --json` for each table. Prints, for each table and way to read it, the number of rows,
columns and values that were compared.
"""

import glob
import json
import math
import numbers
import os
import sys

import duckdb
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet

tables, views, rows_folder = sys.argv[1:]
connection = duckdb.connect()
connection.execute(views)


def relation(found):
    """The rows of an answer of DuckDB."""
    return [dict(zip(found.columns, row)) for row in found.fetchall()]


def readings(table, pattern):
    """Every way to read a table, by its name: the printed pattern, the folder of its files, the printed view."""
    folder, files = os.path.dirname(pattern), sorted(glob.glob(pattern))
    # Programs take the folder as one data set: nothing else may be in it.
    assert files == sorted(os.path.join(folder, name) for name in os.listdir(folder)), os.listdir(folder)
    return {
        "pandas, folder": lambda: pandas.read_parquet(folder).to_dict("records"),
        "pandas, files": lambda: pandas.concat(map(pandas.read_parquet, files), ignore_index=True).to_dict("records"),
        "pyarrow, folder": lambda: pyarrow.parquet.read_table(folder).to_pylist(),
        "pyarrow, data set": lambda: pyarrow.dataset.dataset(folder).to_table().to_pylist(),
        "pyarrow, files": lambda: pyarrow.dataset.dataset(files).to_table().to_pylist(),
        "polars, pattern": lambda: polars.scan_parquet(pattern).collect().to_dicts(),
        "polars, folder": lambda: polars.read_parquet(folder).to_dicts(),
        "DuckDB, pattern": lambda: relation(connection.sql(f"SELECT * FROM '{pattern}'")),
        "DuckDB, folder": lambda: relation(connection.sql(f"SELECT * FROM read_parquet('{folder}/*')")),
        "DuckDB, view": lambda: relation(connection.sql(f"SELECT * FROM {table}")),
    }


def is_same(shown, found):
    """Whether a value is the one that was shown. pandas has NaN for null."""
    if shown is None:
        return found is None or found is pandas.NA or (isinstance(found, numbers.Real) and math.isnan(found))
    if isinstance(shown, list):
        return len(shown) == len(found) and all(map(is_same, shown, found))
    if isinstance(shown, dict):
        return shown.keys() == found.keys() and all(is_same(value, found[name]) for name, value in shown.items())
    if isinstance(shown, bool):
        return bool(found) is shown
    return found == shown


result = {}
for table in json.loads(tables):
    name = table["table"]
    with open(os.path.join(rows_folder, f"{name}.jsonl"), encoding="utf-8") as file:
        shown = [json.loads(line) for line in file]
    result[name] = {}
    for reading, read in readings(name, table["glob"]).items():
        found = read()
        where = f"{name} by {reading}"
        assert len(found) == len(shown), f"{where}: {len(found)} rows, shown are {len(shown)}"
        values = 0
        for number, (expected, row) in enumerate(zip(shown, found)):
            for column, value in expected.items():
                what = f"{where}: row {number}, {column} is {row[column]!r}, shown is {value!r}"
                assert is_same(value, row[column]), what
                values += 1
        result[name][reading] = {"rows": len(found), "values": values}
print(json.dumps(result))
