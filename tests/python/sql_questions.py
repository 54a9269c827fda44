"""Writes seeded questions in SQL over some tables, each with DuckDB's answer, as JSON.

Arguments: SQL that defines a view for each table, seed, number of questions; a file with further questions, one a line. Each question is {"sql", "rows", "kinds",
"error", "ordered"}: rows and the kinds of columns are null where DuckDB gives an error; `ordered` says whether their order is determined. A part of the
questions is of kinds that nodulus refuses.
"""

import datetime
import decimal
import json
import math
import random
import re
import sys

import duckdb

KINDS = {"BIGINT": "int", "DOUBLE": "num", "VARCHAR": "text", "BOOLEAN": "bool", "DATE": "date", "BLOB": "bytes",
         "VARCHAR[]": "texts"}
EMPTY, QUOTED_A, QUOTED_DASH, SPACED = "''", "'a'", "'-'", "'  '"


class Column:
    def __init__(self, name, kind, values):
        self.name, self.kind, self.values = name, kind, values


class Questions:
    def __init__(self, connection, seed):
        self.connection, self.random, self.tables, self.n_names = connection, random.Random(seed), {}, 0
        names = [row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()]
        for table in sorted(names):
            (n,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            columns = []
            for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall():
                if kind in KINDS:
                    values = []
                    if KINDS[kind] in ("int", "num", "text", "date"):
                        rows = connection.execute(f"SELECT DISTINCT {name} FROM {table} WHERE {name} IS NOT NULL "
                                                  f"ORDER BY 1").fetchall()
                        values = [row[0] for row in rows[:: max(1, len(rows) // 12)]]
                    columns.append(Column(name, KINDS[kind], values))
            self.tables[table] = (n, columns)

    # Small pieces.
    def chance(self, share):
        return self.random.random() < share

    def one(self, items):
        return self.random.choice(items)

    def name(self):
        self.n_names += 1
        return f"c{self.n_names}"

    def literal(self, column):
        values = [v for v in column.values if not (isinstance(v, float) and not math.isfinite(v))]
        if column.kind == "int":
            return str(self.one([*values, 0, 1, 2, -3, 7]))
        if column.kind == "num":
            value = self.one([*values, 0.0, 1.5, -2.25, 100.0])
            return self.one([f"{value:.3f}", f"{value:.6e}", str(int(value))])
        if column.kind == "text":
            return "'" + str(self.one([*values, "", "a", "z"])).replace("'", "''") + "'"
        if column.kind == "date":
            return f"DATE '{self.one([*values, datetime.date(2020, 2, 29)])}'"
        return self.one(["true", "false"])

    def pick(self, scope, kind):
        """A column of a kind, as it is written, or None."""
        found = [(text, column) for text, column in scope if column.kind == kind]
        return self.one(found) if found else (None, None)

    # Expressions: scope is a list of (text, column).
    def number(self, scope, depth=2):
        text, column = self.pick(scope, self.one(["int", "int", "num", "num", "num"]))
        if text is None or self.chance(0.1):
            return self.one(["1", "2", "-3", "0", "0.5", "1e2", "7", "10", "2.5", "NULL"])
        if depth == 0 or self.chance(0.35):
            return text
        a, b = self.number(scope, depth - 1), self.number(scope, depth - 1)
        return self.one([
            lambda: f"{a} + {b}", lambda: f"{a} - {b}", lambda: f"{a} * {b}", lambda: f"({a}) / ({b})", lambda: f"-({a})",
            lambda: f"- {text}", lambda: f"({a} - {b}) * 2", lambda: f"abs({a})", lambda: f"round({a}, {self.one([0, 1, 2, -1])})",
            lambda: f"round({a})", lambda: f"floor({a})", lambda: f"ceil({a})", lambda: f"coalesce({a}, {b})",
            lambda: f"nullif({a}, {b})", lambda: f"greatest({a}, {b})", lambda: f"least({a}, {b}, 3)",
            lambda: f"CASE WHEN {self.truth(scope, depth - 1)} THEN {a} ELSE {b} END",
            lambda: f"CASE WHEN {self.truth(scope, depth - 1)} THEN {a} WHEN {self.truth(scope, depth - 1)} THEN {b} END",
            lambda: f"CASE {text} WHEN {self.literal(column)} THEN {a} ELSE 0 END",
            lambda: f"cast({a} AS DOUBLE)", lambda: f"cast({a} AS BIGINT)", lambda: f"({a})::INTEGER",
            lambda: f"{text} % {self.one(['2', '3', '-3', '7', '0'])}", lambda: f"sqrt(abs({a}))", lambda: f"ln(1e0 + abs({a}))",
            lambda: f"length({self.text(scope, depth - 1)})", lambda: f"{text} // 2",
            lambda: f"{self.one(['power', 'pow'])}({a}, {self.one(['2', '0.5', '-1', '1e0', text])})", lambda: self.days(scope),
            lambda: f"round({self.pick(scope, 'int')[0] or 17}, {self.one([-1, -2, -3])})", lambda: f"sqrt({self.one(['0.25', '2.0'])})",
            lambda: f"exp(-abs({a}))", lambda: f"cast({self.truth(scope, 0)} AS BIGINT)",
            lambda: self.edge(scope, text, a),
            lambda: f"cast(cast({self.pick(scope, 'int')[0] or 1} AS VARCHAR) AS BIGINT)",
            lambda: f"cast('{self.one(['4', '-17', '3.5', '1e2', 'x', ' 5'])}' AS {self.one(['BIGINT', 'DOUBLE'])})",
        ])()

    def days(self, scope):
        day, column = self.pick(scope, "date")
        if day is None:
            return "DATE '2020-03-01' - DATE '2020-02-28'"
        other, _ = self.pick(scope, "date")
        return self.one([f"{day} - {other}", f"{day} - {self.literal(column)}", f"({day} + 3) - {other}"])

    def edge(self, scope, text, a):
        """A number at an edge: signs, overflow, and values that only some rows have."""
        whole, _ = self.pick(scope, "int")
        whole = whole or "0"
        largest = "9223372036854775807"
        return self.one([
            lambda: "-(-4)", lambda: "- -4", lambda: f"-(-({a}))", lambda: f"abs(-({a}))", lambda: "CAST('4' AS BIGINT)",
            lambda: f"{whole} + {largest}", lambda: f"{whole} * {largest}", lambda: f"-{largest} - {whole}",
            lambda: f"CASE WHEN {whole} < 0 THEN {whole} + {largest} END", lambda: f"CASE WHEN {whole} <> 0 THEN 7 / {whole} END",
            lambda: f"CASE WHEN {whole} = 0 THEN 0 WHEN {self.truth(scope, 0)} THEN 7 % {whole} ELSE -1 % {whole} END",
            lambda: f"CASE WHEN {text} > 0 THEN ln({text}) ELSE sqrt(-({text})) END", lambda: f"{text} * -0.0",
            lambda: f"cast({text} AS DOUBLE) * 1e300 * 1e300", lambda: f"cast(cast({text} AS DOUBLE) * 1e17 AS BIGINT)",
            lambda: f"greatest({a}, {text}, NULL, {whole})", lambda: f"least(NULL, {text})", lambda: f"({whole} + 2147483640)::INTEGER",
        ])()

    def text(self, scope, depth=2):
        text, _ = self.pick(scope, "text")
        if text is None or self.chance(0.1):
            return self.one(["'a'", "''", "'abc'", "NULL"])
        if depth == 0 or self.chance(0.4):
            return text
        a = self.text(scope, depth - 1)
        return self.one([
            lambda: f"lower({a})", lambda: f"upper({a})", lambda: f"{a} || {self.text(scope, depth - 1)}",
            lambda: f"{a} || '-' || {text}", lambda: f"substr({a}, {self.one([1, 2, 5])}, {self.one([0, 1, 3])})",
            lambda: f"substring({a} FROM 2 FOR 3)", lambda: f"coalesce({a}, 'none')", lambda: f"nullif({a}, {text})",
            lambda: f"CASE WHEN {self.truth(scope, depth - 1)} THEN {a} ELSE 'other' END", lambda: f"greatest({a}, {text})",
            lambda: f"cast({self.pick(scope, 'int')[0] or 1} AS VARCHAR)", lambda: f"trim({a})",
            lambda: f"replace({a}, {self.one([text, QUOTED_A, EMPTY])}, {self.one([text, EMPTY, QUOTED_A])})",
            lambda: f"{self.one(['trim', 'ltrim', 'rtrim'])}({self.one([a, f'{SPACED} || {text}', f'{text} || {SPACED}'])})",
            lambda: f"{self.one(['trim', 'ltrim', 'rtrim'])}({a}, {self.one([QUOTED_A, EMPTY, text])})",
            lambda: f"trim({self.one(['BOTH', 'LEADING', 'TRAILING'])} {self.one([QUOTED_A, text])} FROM {a})",
            lambda: f"split_part({a}, {self.one([QUOTED_A, QUOTED_DASH, text])}, {self.one(['1', '2', '-1', '-2', '0', '9'])})",
            lambda: f"split_part({a} || '-' || {text} || '--' || {a}, '-', {self.pick(scope, 'int')[0] or 2})",
            lambda: f"concat({a}, {self.pick(scope, 'int')[0] or 1}, NULL, {self.pick(scope, 'date')[0] or 'true'}, {text})",
            lambda: f"{text} || {self.one([self.pick(scope, kind)[0] or '2' for kind in ('int', 'bool', 'date', 'num')])}",
            lambda: f"cast({self.truth(scope, 0)} AS VARCHAR)", lambda: f"concat({a}, 'x')", lambda: f"substr({a}, -2)",
            lambda: f"cast({self.pick(scope, 'date')[0] or 'NULL'} AS VARCHAR)",
        ])()

    def truth(self, scope, depth=2):
        def compare(column_kinds=("int", "num", "text", "date", "bool")):
            text, column = None, None
            while text is None:
                text, column = self.pick(scope, self.one(column_kinds))
                if text is None and not any(c.kind in column_kinds for _, c in scope):
                    return "1 = 1"
            operator = self.one(["=", "<>", "!=", "<", "<=", ">", ">="])
            other, _ = self.pick(scope, column.kind)
            return self.one([
                lambda: f"{text} {operator} {self.literal(column)}", lambda: f"{text} {operator} {self.literal(column)}",
                lambda: f"{self.literal(column)} {operator} {text}", lambda: f"{text} {operator} {other}",
                lambda: f"{text} IS NULL", lambda: f"{text} IS NOT NULL",
                lambda: f"{text} BETWEEN {self.literal(column)} AND {self.literal(column)}",
                lambda: f"{text} NOT BETWEEN {self.literal(column)} AND {self.literal(column)}",
                lambda: f"{text} IN ({self.literal(column)}, {self.literal(column)})",
                lambda: f"{text} NOT IN ({self.literal(column)}, {self.one(['NULL', self.literal(column)])})",
                lambda: f"{text} IS DISTINCT FROM {other}", lambda: f"{text} IS NOT DISTINCT FROM {self.literal(column)}",
            ])()

        if depth == 0 or self.chance(0.4):
            return compare()
        a, b = self.truth(scope, depth - 1), self.truth(scope, depth - 1)
        text, _ = self.pick(scope, "text")
        flag, _ = self.pick(scope, "bool")
        like = "'" + self.one(["%", "a%", "%1", "%a%", "_", "__%", "luna%", "A%", "%.%", ""]) + "'"
        return self.one([
            lambda: f"{a} AND {b}", lambda: f"{a} OR {b}", lambda: f"NOT ({a})", lambda: f"NOT {a}", lambda: f"({a} OR {b})",
            lambda: f"({a}) IS TRUE", lambda: f"({a}) IS NOT FALSE", lambda: f"({a}) IS NULL", lambda: f"({a}) = ({b})",
            lambda: f"{self.number(scope, 1)} {self.one(['<', '=', '>=', '<>'])} {self.number(scope, 1)}",
            lambda: f"{self.text(scope, 1)} {self.one(['<', '=', '>=', '<>'])} {self.text(scope, 1)}",
            lambda: f"{text or chr(39) * 2} LIKE {like}", lambda: f"{text or chr(39) * 2} NOT LIKE {like}",
            lambda: f"{text or chr(39) * 2} ILIKE {like}", lambda: f"starts_with({self.text(scope, 1)}, 'a')",
            lambda: f"contains({self.text(scope, 1)}, '1')", lambda: flag or "true", lambda: f"NOT {flag}" if flag else "false",
            lambda: f"{flag or 'NULL'} IS NOT TRUE", lambda: f"{a} AND {b} OR {self.truth(scope, 0)}",
            lambda: f"{self.number(scope, 1)} IN {self.subquery('int')}", lambda: f"{self.text(scope, 0)} NOT IN {self.subquery('text')}",
            lambda: f"{self.number(scope, 0)} > {self.scalar()}", lambda: f"{self.number(scope, 1)} BETWEEN 0 AND 10",
            lambda: f"EXISTS {self.subquery('int')}", lambda: self.exists(scope), lambda: self.exists(scope), lambda: f"{text or chr(39) * 2} = {self.number(scope, 0)}",
            lambda: f"{self.number(scope, 0)} IN {self.subquery('num')}", lambda: f"{self.number(scope, 0)} NOT IN {self.subquery('num')}",
            lambda: (lambda kind: f"{self.pick(scope, kind)[0] or 'NULL'} {self.one(['IN', 'NOT IN'])} {self.subquery(kind)}")(
                self.one(["date", "bool", "bytes", "num"])),
            lambda: (lambda n: f"{n} <> 0 AND 10 / {n} > 1")(self.pick(scope, "int")[0] or "1"),
            lambda: (lambda n: f"{n} = 0 OR {b} OR 10 % {n} = 1")(self.pick(scope, "int")[0] or "1"),
        ])()

    def anything(self, scope):
        return self.one([self.number, self.number, self.text, self.truth, lambda s: self.one(s)[0]])(scope)

    def aggregate(self, scope):
        number, text = self.number(scope, 1), self.text(scope, 1)
        call = self.one([
            lambda: "count(*)", lambda: f"count({number})", lambda: f"count(DISTINCT {self.one([number, text])})",
            lambda: f"sum({number})", lambda: f"avg({number})", lambda: f"min({self.one([number, text])})",
            lambda: f"max({self.one([number, text])})", lambda: f"stddev({number})", lambda: f"var_pop({number})",
            lambda: f"median({number})", lambda: f"quantile_cont({number}, 0.25)", lambda: f"sum(DISTINCT {number})",
            lambda: "count(1)", lambda: "sum(1)", lambda: f"max({self.one(scope)[0]})", lambda: f"count({self.one(scope)[0]})",
            lambda: f"sum(CASE WHEN {self.truth(scope, 1)} THEN 1 ELSE 0 END)", lambda: f"mean({number})",
            lambda: f"count(CASE WHEN {self.truth(scope, 1)} THEN 1 END)", lambda: f"string_agg({text}, ',')",
            lambda: f"stddev_pop({number})", lambda: f"variance({number})", lambda: f"sum({self.truth(scope, 0)})",
            lambda: f"mode({self.one(scope)[0]})", lambda: f"mode({text} ORDER BY {text}{self.one(['', ' DESC'])})",
            lambda: (lambda value: f"mode({value} ORDER BY {value}{self.one(['', ' DESC'])})")(self.one(scope)[0]),
            # Rounded: what is nearly 0 depends on the order of the rows.
            lambda: f"round(corr({number}, {self.number(scope, 1)}), 9)", lambda: f"round(corr({number}, {self.number(scope, 0)}), 9)",
            lambda: f"string_agg({text}, ', ' ORDER BY {self.all_keys(scope)})", lambda: f"string_agg({text} ORDER BY {text} DESC)",
            lambda: f"string_agg(DISTINCT {text}, '' ORDER BY {text})",
            lambda: f"string_agg({self.pick(scope, 'int')[0] or text}, '-' ORDER BY {self.all_keys(scope)})",
        ])()
        return f"{call} FILTER (WHERE {self.truth(scope, 1)})" if self.chance(0.15) and "(" in call else call

    def all_keys(self, scope):
        """Keys of ORDER BY that tell all rows apart that differ."""
        keys = [text + self.one(["", " DESC", " NULLS FIRST"]) for text, column in scope if column.kind != "texts"]
        self.random.shuffle(keys)
        return ", ".join(keys)

    def of_group(self, scope):
        """An expression over aggregates."""
        a, b = self.aggregate(scope), self.aggregate(scope)
        return self.one([
            lambda: a, lambda: a, lambda: a, lambda: f"{a} + 1", lambda: f"100.0 * count(*) / {b}", lambda: f"coalesce({a}, NULL)",
            lambda: f"round(avg({self.number(scope, 1)}), 6)", lambda: f"CASE WHEN count(*) > 2 THEN {a} END",
            lambda: f"{a} - {b}", lambda: f"max({self.number(scope, 0)}) - min({self.number(scope, 0)})",
            lambda: "sum(count(*)) OVER ()", lambda: f"count(*) / sum(count(*)) OVER ()",
            lambda: f"sum({a}) OVER (ORDER BY count(*), {b})", lambda: f"max({a}) OVER ()",
            lambda: f"rank() OVER (ORDER BY {a} DESC)",
        ])()

    # Queries.
    def table(self, small=False):
        """(FROM text, scope with qualified names, name) of a table."""
        names = [name for name, (n, _) in self.tables.items() if not small or n <= 400]
        name = self.one(names)
        alias = self.name().replace("c", "t")
        text = f"{name} {self.one(['', 'AS '])}{alias}"
        return text, [(f"{alias}.{column.name}", column) for column in self.tables[name][1]], alias

    def derived(self):
        text, scope, alias = self.table(small=True)
        is_distinct = self.chance(0.4)
        scope = [(text, column) for text, column in scope if column.kind != "texts" or not is_distinct]
        chosen = self.random.sample(scope, min(len(scope), 6))
        selected = ", ".join(f"{text} AS {text.split('.')[1]}" for text, _ in chosen)
        where = f" WHERE {self.truth(scope, 1)}" if self.chance(0.5) else ""
        outer = self.name().replace("c", "d")
        order = ", ".join(text for text, column in scope if column.kind != "texts")
        limit = f" ORDER BY {'1' if is_distinct or self.chance(0.2) else order} LIMIT 7" if self.chance(0.15) else ""
        return (f"(SELECT {'DISTINCT ' if is_distinct else ''}{selected} FROM {text}{where}{limit}) {outer}",
                [(f"{outer}.{text.split('.')[1]}", column) for text, column in chosen])

    def source(self):
        """FROM, with its scope."""
        kind = self.random.random()
        if kind < 0.3:
            text, scope, alias = self.table()
            return text, [(t.split(".")[1] if self.chance(0.5) else t, c) for t, c in scope]
        if kind < 0.4:
            return self.derived()
        (left, of_left, _) = self.table(small=True)
        right, of_right = self.one([lambda: self.table(small=True)[:2], self.derived])()
        scope = of_left + of_right
        join = self.one(["JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN", "FULL OUTER JOIN", "JOIN",
                         "LEFT JOIN"])
        if self.chance(0.05):
            return f"{left} {self.one(['CROSS JOIN', ','])} {right}", scope
        shared = [(a, b) for a, x in of_left for b, y in of_right if x.kind == y.kind and x.kind in ("int", "text", "num", "date")]
        same = [(a, b) for a, b in shared if a.split(".")[1] == b.split(".")[1]]
        if same and self.chance(0.2):
            a, _ = self.one(same)
            name = a.split(".")[1]
            scope = [(t, c) for t, c in scope if t.split(".")[1] != name] + [(name, next(c for t, c in of_left if t == a))]
            return f"{left} {join} {right} USING ({name})", scope
        conditions = []
        if shared and self.chance(0.85):
            a, b = self.one(same if same and self.chance(0.8) else shared)
            conditions.append(self.one([f"{a} = {b}", f"{b} = {a}"]))
        if shared and (not conditions or self.chance(0.35)):
            a, b = self.one(shared)
            conditions.append(f"{a} {self.one(['<', '<>', '>=', '>', '=', '<='])} {b}")
        if not conditions or self.chance(0.4):
            conditions.append(self.one([
                lambda: self.truth(scope, 1), lambda: self.truth(of_right, 1), lambda: self.truth(of_left, 1),
                lambda: f"{self.number(of_left, 1)} = {self.number(of_right, 1)}",
                lambda: f"{self.number(of_left, 1)} < {self.number(of_right, 1)}",
                lambda: f"{self.text(of_left, 1)} = {self.text(of_right, 1)}",
                lambda: f"{self.edge(of_left, '1', '2')} = {self.number(of_right, 0)}",
                lambda: f"{self.number(of_right, 0)} {self.one(['=', '<', '<>'])} {self.edge(of_right, '1', '2')}",
                lambda: f"cast({self.pick(of_left, 'int')[0] or 1} AS VARCHAR) = {self.text(of_right, 0)}",
                lambda: f"cast({self.pick(of_left, 'int')[0] or 1} AS DOUBLE) = {self.pick(of_right, 'num')[0] or 1}",
                lambda: f"{self.pick(of_left, 'num')[0] or 1} = {self.pick(of_right, 'num')[0] or 1}",
                lambda: f"{self.pick(of_left, 'num')[0] or 1} = {self.pick(of_right, 'int')[0] or 1}",
                lambda: f"{self.pick(of_left, 'num')[0] or 1} IS NOT DISTINCT FROM {self.pick(of_right, 'num')[0] or 1}",
            ])())
        on = self.one([" AND ", " AND ", " AND ", " OR "]).join(conditions)
        text = f"{left} {join} {right} ON {on}"
        if self.chance(0.15):
            third, of_third, _ = self.table(small=True)
            scope = scope + of_third
            pairs = [(a, b) for a, x in scope[: -len(of_third)] for b, y in of_third if x.kind == y.kind and x.kind in ("int", "text")]
            if pairs:
                a, b = self.one(pairs)
                return f"{text} {self.one(['JOIN', 'LEFT JOIN', 'RIGHT JOIN'])} {third} ON {a} = {b}", scope
            return text, scope[: -len(of_third)]
        return text, scope

    def subquery(self, kind):
        for _ in range(20):
            text, scope, _ = self.table()
            column, _ = self.pick(scope, kind)
            if column:
                where = f" WHERE {self.truth(scope, 0)}" if self.chance(0.7) else ""
                return f"(SELECT {column} FROM {text}{where})"
        return "(SELECT 1)"

    def exists(self, scope):
        """EXISTS about each row of the query around it."""
        text, of_inner, _ = self.table()
        kinds = ("int", "text", "num", "date", "bool", "bytes")
        shared = [(a, b) for a, x in scope for b, y in of_inner if "." in a and x.kind in kinds
                  and (x.kind == y.kind or {x.kind, y.kind} == {"int", "num"})]
        if not shared:
            return "1 = 1"
        pairs = [self.one([f"{a} = {b}", f"{b} = {a}"]) for a, b in (self.one(shared) for _ in range(self.one([1, 1, 2, 3])))]
        outer, _ = self.pick([(t, c) for t, c in scope if "." in t], "int")
        if outer and self.chance(0.2):
            pairs.append(f"{self.number(of_inner, 1)} = {outer}")
        if self.chance(0.5):
            pairs.append(self.truth(of_inner, 1))
        self.random.shuffle(pairs)
        selected = self.one(["1", "*", of_inner[0][0], f"{of_inner[0][0]} AS other"])
        return f"{self.one(['', 'NOT '])}EXISTS (SELECT {selected} FROM {text} WHERE {' AND '.join(pairs)})"

    def scalar(self):
        text, scope, _ = self.table()
        return f"(SELECT {self.one(['max', 'min', 'avg', 'count'])}({self.number(scope, 1)}) FROM {text})"

    def all_ordinals(self, n):
        order = list(range(1, n + 1))
        self.random.shuffle(order)
        ends = ["", "", " DESC", " ASC", " NULLS FIRST", " DESC NULLS FIRST", " DESC NULLS LAST"]
        return ", ".join(f"{position}{self.one(ends)}" for position in order)

    def window(self, scope):
        partition = f"PARTITION BY {self.one(scope)[0]}" if self.chance(0.7) else ""
        order = "ORDER BY " + ", ".join(text + self.one(["", "", " DESC", " NULLS FIRST"]) for text, _ in self.random.sample(
            scope, min(len(scope), self.one([1, 1, 2, len(scope)]))))
        whole = f"ORDER BY {self.all_keys(scope)}"
        number, text = self.number(scope, 1), self.text(scope, 1)
        running = self.one([f"sum({number})", f"count({self.one([number, text])})", "count(*)", f"avg({number})",
                            f"min({self.one([number, text, self.one(scope)[0]])})", f"max({self.one([number, text])})",
                            f"sum({number}) FILTER (WHERE {self.truth(scope, 1)})", f"sum({self.pick(scope, 'int')[0] or 1})",
                            f"stddev({number})"])
        frame = self.one([" ROWS UNBOUNDED PRECEDING", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                          " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"])
        return self.one([
            f"rank() OVER ({partition} {order})", f"dense_rank() OVER ({partition} {order} DESC)".replace(" DESC DESC", " DESC")
            .replace("FIRST DESC", "FIRST"),
            f"row_number() OVER ({partition} {order})", f"lag({number}) OVER ({partition} {order})",
            f"lead({number}, 2) OVER ({partition} {order})", f"sum({number}) OVER ({partition})", f"count(*) OVER ({partition})",
            f"avg({number}) OVER ({partition})", f"max({number}) OVER ({partition})", f"{running} OVER ({partition} {order})",
            f"{running} OVER ({partition} {order})", f"{running} OVER ({partition} {whole}{frame})",
            f"row_number() OVER ({partition} {whole})", f"mode({text}) OVER ({partition})", f"corr({number}, 2) OVER ({partition})",
            f"lag({number}, 1, {self.one(['0', '0.5', 'NULL', self.number(scope, 0)])}) OVER ({partition} {whole})",
            f"lead({text}, {self.one([0, 1, 3])}, {self.one([EMPTY, 'NULL', self.text(scope, 0)])}) OVER ({partition} {whole})",
        ])

    def body(self, n_columns=None):
        """A SELECT without ORDER BY, and its number of columns."""
        text, scope = self.source()
        where = f" WHERE {self.truth(scope, 2)}" if self.chance(0.5) else ""
        n = n_columns or self.random.randint(1, 4)
        kind = self.random.random()
        if kind < 0.15:
            items = [self.of_group(scope) for _ in range(n)]
            having = f" HAVING {self.aggregate(scope)} > 1" if self.chance(0.15) else ""
            return f"SELECT {self.named(items)} FROM {text}{where}{having}", n
        if kind < 0.4:
            keys = [self.one([lambda: self.one(scope)[0], lambda: self.one(scope)[0], lambda: self.anything(scope)])()
                    for _ in range(self.random.randint(1, 2))]
            items = [self.one([lambda: self.one(keys), lambda: self.of_group(scope)])() for _ in range(n)]
            having = f" HAVING {self.of_group(scope)} {self.one(['>', '<='])} {self.one(['1', '2', '0.5'])}" if self.chance(0.25) else ""
            names = [self.name() for _ in items]
            by = [self.one([key, key, str(1 + items.index(key)), names[items.index(key)]]) if key in items else key for key in keys]
            selected = ", ".join(f"{item} AS {name}" for item, name in zip(items, names))
            return f"SELECT {selected} FROM {text}{where} GROUP BY {', '.join(by)}{having}", n
        if kind < 0.46 and n > 1:
            # Names of the answer.
            first, second, third = self.name(), self.name(), self.name()
            later = self.one([f"{first} + 1", f"coalesce({first}, 0) * 2", f"abs({first})", f"CASE WHEN {first} > 0 THEN 1 END"])
            rest = [f"{self.one([self.anything(scope), first, f'{second} - {first}'])} AS {self.name()}" for _ in range(n - 2)]
            named = self.one([first, second, third])
            where = f" WHERE {self.one([f'{named} > 0', f'{first} IS NULL OR {second} < 5', f'{named} IN (1, 2)'])}"
            return (f"SELECT {', '.join([f'{self.number(scope, 1)} AS {first}', f'{later} AS {second}', *rest])} FROM {text}{where}"), n
        if kind < 0.54:
            items = [self.window(scope) if self.chance(0.6) else self.anything(scope) for _ in range(n)]
        else:
            items = [self.anything(scope) for _ in range(n)]
        distinct = "DISTINCT " if self.chance(0.15) else ""
        return f"SELECT {distinct}{self.named(items)} FROM {text}{where}", n

    def named(self, items):
        return ", ".join(f"{item} AS {self.name()}" for item in items)

    def question(self):
        kind = self.random.random()
        if kind < 0.05:
            table = self.one(list(self.tables))
            return self.one([f"SELECT * FROM {table}", f"SELECT count(*) AS n FROM {table}", f"SELECT t.* FROM {table} t",
                             f"SELECT count(*) AS n FROM (SELECT * FROM {table} WHERE 1 = 0)"]), False
        if kind < 0.1:
            found = [(t, c.name) for t, (_, columns) in self.tables.items() for c in columns if c.kind == "texts"]
            if found:
                table, column = self.one(found)
                return self.one([
                    f"SELECT unnest({column}) AS item FROM {table}",
                    f"SELECT count(*) AS n FROM (SELECT unnest({column}) AS item FROM {table}) u WHERE item LIKE '%1%'",
                    f"SELECT len({column}) AS n, count(*) AS k FROM {table} GROUP BY len({column})",
                    f"SELECT {column} FROM {table} WHERE len({column}) > 1",
                ]), False
        if kind < 0.16:
            # Sorted by what is not selected, down to every column.
            text, scope, _ = self.table()
            ends = ["", " DESC", " NULLS FIRST"]
            keys = [f"{t}{self.one(ends)}" for t, c in scope if c.kind != "texts"]
            self.random.shuffle(keys)
            limit = self.one(["", " LIMIT 5", " LIMIT 3 OFFSET 2"])
            items = self.named([self.anything(scope) for _ in range(2)])
            return f"SELECT {items} FROM {text} ORDER BY {', '.join(keys)}{limit}", True
        if kind < 0.25:
            a, n = self.body()
            b, _ = self.body(n)
            operator = self.one(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION DISTINCT"])
            whole = f"{a} {operator} {b}"
        elif kind < 0.35:
            inner, scope = self.derived()
            name = self.name().replace("c", "w")
            body = inner[1: inner.rindex(")")]
            of_name = [(f"{name}.{text.split('.')[1]}", column) for text, column in scope]
            n = 2
            if self.chance(0.5):
                whole = (f"WITH {name} AS ({body}) SELECT {self.named([self.of_group(of_name), self.of_group(of_name)])} FROM {name} "
                         f"WHERE {self.truth(of_name, 1)}")
            else:
                key, _ = self.one(of_name)
                other = [(t.replace(f"{name}.", "other."), c) for t, c in of_name]
                whole = (f"WITH {name} AS ({body}) SELECT {self.named([self.anything(of_name), self.anything(other)])} FROM {name} "
                         f"{self.one(['JOIN', 'LEFT JOIN', 'FULL JOIN'])} {name} other ON {key} = {key.replace(f'{name}.', 'other.')}")
        else:
            whole, n = self.body()
        if self.chance(0.4):
            limit = self.one(["", "", " LIMIT 3", " LIMIT 10 OFFSET 1", " LIMIT 0"])
            return f"{whole} ORDER BY {self.all_ordinals(n)}{limit}", True
        return whole, False


def kind_of(column_type):
    """The kind of a column by DuckDB's type."""
    if column_type.endswith("]"):
        return KINDS.get(column_type, "other")
    if "INT" in column_type:
        return "int"
    if column_type.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return "num"
    return KINDS.get(column_type, "other")


def plain(value):
    """A value as JSON."""
    if isinstance(value, decimal.Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, (datetime.date, datetime.datetime)):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def main():
    views, seed, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(views)
    questions = Questions(connection, seed)
    found = []
    written = [line.strip() for line in open(sys.argv[4], encoding="utf-8")] if len(sys.argv) > 4 else []
    while written or len(found) < n:
        if written:
            sql = written.pop()
            # Those that end with an order determine it.
            ordered = "ORDER BY" in sql.rsplit(")", 1)[-1]
        else:
            sql, ordered = questions.question()
        if re.search(r"\bNULL (=|<>|<|>|>=) NULL\b", sql):
            continue
        rows, kinds, error = None, None, None
        try:
            cursor = connection.execute(sql)
            rows = [[plain(value) for value in row] for row in cursor.fetchmany(20001)]
            if len(rows) > 20000:
                continue
            kinds = [kind_of(row[1]) for row in connection.execute(f"DESCRIBE {sql}").fetchall()]
        except duckdb.Error as failure:
            error = str(failure).splitlines()[0]
        found.append({"sql": sql, "rows": rows, "kinds": kinds, "error": error, "ordered": ordered})
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
