"""Runs each SQL block of a Markdown file over views of the tables; prints rows found and first row."""

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
    answers.append({"question": question, "rows": len(rows), "first": str(rows[:1])})
print(json.dumps(answers))
