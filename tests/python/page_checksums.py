"""Flips a bit in the middle of each page of Parquet files: pyarrow refuses each page by its checksum, and DuckDB reads the whole
files.

    page_checksums.py FOLDER...
"""

import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80 == 0:
            return value, at


def page(data, at):
    """Whether the page header at `at`, in Thrift's compact protocol, has a checksum, and where its page begins and ends."""
    start, numbers, last, has_checksum, depth = at, {}, [0], False, 0
    while True:
        head = data[at]
        at += 1
        if head == 0:
            last.pop()
            if depth == 0:
                break
            depth -= 1
            continue
        kind = head & 15
        if head >> 4:
            last[-1] += head >> 4
        else:
            value, at = varint(data, at)
            last[-1] = value >> 1
        if kind in (1, 2):
            continue
        if kind in (4, 5, 6):
            value, at = varint(data, at)
            if depth == 0:
                numbers[last[-1]] = value
        elif kind == 8:
            value, at = varint(data, at)
            at += value
        elif kind == 12:
            depth += 1
            last.append(0)
        else:
            raise ValueError(f"type {kind} in the page header at {start}")
    return 4 in numbers, at, at + (numbers[3] >> 1)


for folder in map(Path, sys.argv[1:]):
    refused = total = 0
    for file in sorted(folder.glob("*.parquet")):
        data = file.read_bytes()
        footer = pq.read_metadata(file)
        n_rows = duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall()[0][0]
        assert n_rows == footer.num_rows, file
        duckdb.sql(f"SELECT * FROM '{file}'").fetchall()
        pq.read_table(file, page_checksum_verification=True)
        for group in range(footer.num_row_groups):
            for column in range(footer.num_columns):
                chunk = footer.row_group(group).column(column)
                at = chunk.dictionary_page_offset or chunk.data_page_offset
                end = at + chunk.total_compressed_size
                while at < end:
                    has_checksum, begin, at = page(data, at)
                    assert has_checksum, (file, chunk.path_in_schema)
                    total += 1
                    damaged = bytearray(data)
                    damaged[(begin + at) // 2] ^= 16
                    # Without threads: one that still reads when another fails can abort Python at its end.
                    try:
                        pq.read_table(pa.BufferReader(bytes(damaged)), page_checksum_verification=True, use_threads=False, pre_buffer=False)
                    except OSError as error:
                        refused += "checksum" in str(error) or "CRC" in str(error)
    print(f"{folder.parent.name}: {refused} of {total} pages refused")
    assert refused == total > 0, folder
