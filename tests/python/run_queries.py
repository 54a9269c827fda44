"""Runs each SQL block of a Markdown file over views of the tables in DuckDB, and prints the answers."""

import json
import re
import sys

import duckdb

views, path = sys.argv[1:]
connection = duckdb.connect()
connection.execute(views)
text = open(path, encoding="utf-8").read()
answers = []
for question, sql in re.findall(r"^## (.+?)\n.*?```sql\n(.+?)```", text, re.S | re.M):
    rows = connection.execute(sql).fetchall()
    answers.append({"question": question, "sql": sql, "rows": rows})
print(json.dumps(answers))
