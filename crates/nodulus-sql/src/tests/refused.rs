//! Questions that have no answer.

use super::{ids, numbered, table, write};
use crate::{Error, query};
use arrow::array::{ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

/// Fails if a message has words of the program's inside.
fn is_plain(message: &str) {
    for word in ["{", "i64", "Int64", "Utf8", "Ident", "Expr", "dtype", "BinaryOp"] {
        assert!(!message.contains(word), "{message}");
    }
}

/// Questions that are refused, each with the part that the message names.
const REFUSED: [(&str, &str); 55] = [
    ("SELECT id FROM a WHERE id = 1", "id = 1"),
    ("SELECT id FROM a WHERE n = '1'", "n = '1'"),
    ("SELECT id + 1 AS x FROM a", "id + 1"),
    ("SELECT CASE WHEN n > 1 THEN id ELSE n END AS x FROM a", "CASE WHEN n > 1 THEN id ELSE n END"),
    ("SELECT n * 0.1 = 0.3 AS x FROM a", "n * 0.1 = 0.3"),
    ("SELECT n // 2 AS x FROM a", "n // 2"),
    ("SELECT n & 1 AS x FROM a", "n & 1"),
    ("SELECT id FROM a WHERE id ILIKE 'R%'", "id ILIKE 'R%'"),
    ("SELECT id FROM a WHERE id LIKE id", "id LIKE id"),
    ("SELECT id FROM a WHERE n = 1 = true", "n = 1 = true"),
    ("SELECT id FROM a WHERE n IS DISTINCT FROM 1 AND n > 0", "n IS DISTINCT FROM 1 AND n > 0"),
    ("SELECT id FROM a WHERE sum(n) > 1", "WHERE sum(n) > 1"),
    (
        "SELECT id FROM a x WHERE n = (SELECT max(n) FROM a WHERE id = x.id)",
        "id of the query around a subquery",
    ),
    (
        "SELECT id FROM a x WHERE EXISTS (SELECT 1 FROM a WHERE a.n > x.n)",
        "n of the query around a subquery",
    ),
    (
        "SELECT id FROM a x WHERE EXISTS (SELECT 1 FROM a WHERE a.id = x.id AND a.n > x.n)",
        "n of the query around a subquery",
    ),
    (
        "SELECT id FROM a x WHERE EXISTS (SELECT 1 FROM a WHERE a.id = x.id LIMIT 1)",
        "EXISTS about the query around it, with more than WHERE",
    ),
    (
        "SELECT id FROM a x WHERE EXISTS (SELECT count(*) FROM a WHERE a.id = x.id)",
        "EXISTS of an aggregate",
    ),
    ("SELECT string_agg(id, ',') AS x FROM a", "string_agg(id, ',')"),
    (
        "SELECT string_agg(DISTINCT id, ',' ORDER BY n) AS x FROM a",
        "string_agg(DISTINCT id, ',' ORDER BY n)",
    ),
    ("SELECT string_agg(id, id ORDER BY n) AS x FROM a", "string_agg(id, id ORDER BY n)"),
    ("SELECT mode(id ORDER BY n) AS x FROM a", "mode(id ORDER BY n)"),
    ("SELECT sum(n ORDER BY id) AS x FROM a", "sum(n ORDER BY id)"),
    ("SELECT corr(n) AS x FROM a", "corr(n)"),
    ("SELECT sum(count(*)) AS x FROM a", "sum(count(*))"),
    ("SELECT id || 0.5 AS x FROM a", "0.5"),
    ("SELECT concat(id, n / 2) AS x FROM a", "concat(id, n / 2)"),
    ("SELECT n ^ 2 AS x FROM a", "n ^ 2"),
    ("SELECT CURRENT_DATE AS x FROM a", "CURRENT_DATE"),
    ("SELECT lag(n, 1, 'x') OVER (ORDER BY id) AS x FROM a", "lag(n, 1, 'x') OVER (ORDER BY id)"),
    (
        "SELECT sum(n) OVER (ORDER BY id ROWS 2 PRECEDING) AS x FROM a",
        "sum(n) OVER (ORDER BY id ROWS 2 PRECEDING)",
    ),
    ("SELECT n + 1 AS k, k + 1 AS j FROM a GROUP BY k, j", "GROUP BY j"),
    ("SELECT n + 1 AS k, max(k) AS j FROM a GROUP BY n HAVING j > 1", "j in HAVING"),
    ("SELECT n + 1 AS k FROM a GROUP BY k + 1", "k in GROUP BY"),
    ("SELECT x.id FROM a x NATURAL JOIN a y", "NATURAL JOIN"),
    ("SELECT x.id FROM a x JOIN a y", "JOIN a y"),
    ("SELECT x.id FROM a x LEFT SEMI JOIN a y ON x.id = y.id", "LEFT SEMI JOIN a y ON x.id = y.id"),
    ("SELECT x.id FROM a x, LATERAL (SELECT 1) y", "LATERAL (SELECT 1) y"),
    ("SELECT n FROM a GROUP BY ROLLUP (n)", "ROLLUP (n)"),
    ("SELECT n FROM a GROUP BY ALL", "GROUP BY ALL"),
    ("SELECT n FROM a ORDER BY ALL", "ORDER BY ALL"),
    ("SELECT DISTINCT n FROM a ORDER BY id", "ORDER BY of what DISTINCT does not select"),
    ("SELECT DISTINCT ON (n) id FROM a", "DISTINCT ON"),
    ("SELECT id FROM a QUALIFY row_number() OVER (ORDER BY id) = 1", "QUALIFY"),
    ("SELECT median(n) OVER (ORDER BY id) AS x FROM a", "median(n) OVER (ORDER BY id)"),
    ("SELECT count(*) FROM (SELECT id FROM a LIMIT 1)", "LIMIT without ORDER BY in a subquery"),
    ("SELECT * EXCLUDE (id) FROM a", "*"),
    ("SELECT id FROM a EXCEPT ALL SELECT id FROM a", "EXCEPT ALL"),
    ("WITH RECURSIVE x AS (SELECT 1 AS n) SELECT n FROM x", "WITH RECURSIVE"),
    ("VALUES (1)", "VALUES (1)"),
    ("SELECT id FROM a FETCH FIRST 1 ROW ONLY", "FETCH"),
    ("SELECT TRY_CAST(id AS BIGINT) AS x FROM a", "TRY_CAST(id AS BIGINT)"),
    ("SELECT cast(n AS DECIMAL(9, 2)) AS x FROM a", "CAST(n AS DECIMAL(9,2))"),
    ("SELECT 99999999999999999999 AS x", "99999999999999999999"),
    ("SELECT 0.12345678901234567 AS x", "0.12345678901234567"),
    ("EXPLAIN SELECT id FROM a", "EXPLAIN"),
];

#[test]
fn what_is_not_answered_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let tables = [table("a", vec![write(&folder.path().join("a.parquet"), &numbered(0, 2))])];
    for (question, part) in REFUSED {
        match query(question, &tables) {
            Err(error @ Error::Refused { .. }) => {
                let message = error.to_string();
                let start = format!("`{part}");
                assert!(message.starts_with(&start), "{question}: {message}");
                is_plain(&message);
            }
            other => panic!("{question}: {other:?}"),
        }
    }
    for question in [
        "DROP TABLE a",
        "DELETE FROM a",
        "TRUNCATE TABLE a",
        "CREATE TABLE x AS SELECT * FROM a",
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET n = 1",
        "ALTER TABLE a ADD y INT",
        "SELECT * INTO x FROM a",
    ] {
        assert!(matches!(query(question, &tables), Err(Error::Write { .. })), "{question}");
    }
}

#[test]
fn long_questions_are_answered_or_refused() {
    let ask = |question: &str| query(question, &[]);
    let all = |n: usize, between: &str| vec!["1 = 2"; n].join(between);
    assert!(ask(&format!("SELECT {} AS x", all(2_000, " OR "))).is_ok());
    let sum = vec!["1"; 4_000].join(" + ");
    let answer = ask(&format!("SELECT {sum} AS x")).unwrap();
    assert_eq!(answer["x"].as_primitive::<Int64Type>().values(), &[4_000]);
    let folder = tempfile::tempdir().unwrap();
    let tables = [table("a", vec![write(&folder.path().join("a.parquet"), &numbered(0, 6))])];
    let of_table = format!("SELECT id FROM a WHERE n + {sum} > 0");
    assert_eq!(query(&of_table, &tables).unwrap().num_rows(), 4);
    let too_long = ask(&format!("SELECT {} AS x", all(9_000, " OR "))).unwrap_err().to_string();
    assert!(too_long.starts_with("the question has "), "{too_long}");
    assert!(ask(&format!("SELECT {}1{} AS x", "(".repeat(3_000), ")".repeat(3_000))).is_err());
}

/// Questions that are wrong, each with the start of the message.
const WRONG: [(&str, &str); 28] = [
    ("", "the question is empty"),
    ("SELECT 1; SELECT 2", "there are 2 questions"),
    ("SELECT id FROM", "the question is not SQL: Expected: "),
    (
        "SELECT id, id FROM a",
        "two columns of the answer are named `id`; name one of them otherwise, as in `id AS other`",
    ),
    ("SELECT id FROM a WHERE n", "`n` is a whole number, expected true or false"),
    ("SELECT id, count(*) FROM a", "`id` has no single value in a group; add it to GROUP BY"),
    ("SELECT n / 0 AS x FROM a", "`1 / 0` has no value"),
    ("SELECT n % 0 AS x FROM a", "`1 % 0` has no value"),
    ("SELECT sqrt(-n) AS x FROM a", "`sqrt(-1)` has no value"),
    ("SELECT power(n - 1, -1) AS x FROM a", "`power(0, -1)` has no value"),
    ("SELECT ln(n - 1) AS x FROM a", "`ln(0)` has no value"),
    ("SELECT sum(n) * 9223372036854775807 * 2 AS x FROM a", "`9223372036854775807 * 2` is no"),
    ("SELECT round(n + 9223372036854775806, -1) AS x FROM a", "`9223372036854775807` rounded is"),
    ("SELECT split_part(id, '', 1) AS x FROM a", "split_part: the separator is an empty text"),
    ("SELECT mode(id) AS x FROM a", "mode: several values are the most frequent"),
    (
        "SELECT string_agg(id, ',' ORDER BY pixels) AS x FROM same",
        "string_agg: rows tie in its order",
    ),
    (
        "SELECT sum(pixels) OVER (ORDER BY pixels ROWS UNBOUNDED PRECEDING) AS x FROM same",
        "`sum(pixels) OVER",
    ),
    ("SELECT k + 1 AS j, n AS k FROM a", "there is no column `k`"),
    ("SELECT n + 9223372036854775807 AS x FROM a", "`1 + 9223372036854775807` is no whole number"),
    ("SELECT cast(id AS BIGINT) AS x FROM a", "cast: the text `r0` is not a whole number"),
    ("SELECT (SELECT id FROM a) AS m", "a subquery that stands for one value has 2 rows"),
    ("SELECT x.id FROM a x, a x", "two tables are named `x`"),
    ("SELECT id FROM a x JOIN a y ON x.id = y.id", "`id` is a column of several tables"),
    ("SELECT z.id FROM a", "`z.id`: FROM names no table `z`"),
    ("SELECT id FROM a ORDER BY 2", "`2` is no column of the answer"),
    ("SELECT id FROM a UNION SELECT id, n FROM a", "the two queries have 1 and 2 columns"),
    (
        "SELECT row_number() OVER (ORDER BY pixels) AS k FROM same",
        "`row_number() OVER (ORDER BY pixels)`: rows tie",
    ),
    (
        "SELECT count(*) FROM (SELECT id FROM same ORDER BY pixels LIMIT 1)",
        "rows tie where LIMIT cuts a subquery",
    ),
];

#[test]
fn errors_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let a = write(&folder.path().join("a.parquet"), &numbered(0, 2));
    let other = RecordBatch::try_from_iter([
        ("id", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ("n", Arc::new(Float64Array::from(vec![1.0]))),
    ])
    .unwrap();
    let b = write(&folder.path().join("b.parquet"), &other);
    let missing = folder.path().join("missing.parquet");
    let same = write(
        &folder.path().join("same.parquet"),
        &RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef),
            ("pixels", Arc::new(Int64Array::from(vec![1, 1]))),
        ])
        .unwrap(),
    );
    let tables = [
        table("a", vec![a.clone()]),
        table("mixed", vec![a, b]),
        table("gone", vec![missing]),
        table("empty", Vec::new()),
        table("same", vec![same]),
    ];
    let error = |question: &str| query(question, &tables).unwrap_err();
    assert!(matches!(error("SELECT * FROM aa"), Error::UnknownTable { name } if name == "aa"));
    let unknown = |question: &str| match error(question) {
        Error::UnknownColumn { name, tables } => (name, tables),
        error => panic!("{question}: {error}"),
    };
    let columns = ["id", "n", "pixels"].map(str::to_owned).to_vec();
    for question in [
        "SELECT ix FROM a",
        "SELECT id FROM a WHERE ix = '1'",
        "SELECT a.ix FROM a",
        "SELECT id FROM a ORDER BY ix",
    ] {
        assert_eq!(unknown(question), ("ix".to_owned(), vec![("a".to_owned(), columns.clone())]));
    }
    assert!(matches!(error("SELEC 1"), Error::Question(_)));
    assert!(matches!(error("DELETE FROM a"), Error::Write { .. }));
    let functions = match error("SELECT avgg(n) FROM a") {
        Error::UnknownFunction { name, functions } if name == "avgg" => functions,
        error => panic!("{error}"),
    };
    assert!(functions.contains(&"avg"), "{functions:?}");
    for (question, expected) in WRONG {
        let message = error(question).to_string();
        assert!(message.starts_with(expected), "{question}: {message}");
        is_plain(&message);
    }
    assert!(matches!(error("SELECT * FROM empty"), Error::NoFiles { .. }));
    let text = |question: &str| {
        let error = error(question);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    assert!(text("SELECT * FROM gone").contains("missing.parquet`: "));
    assert!(
        text("SELECT n FROM mixed")
            .contains("b.parquet`: column `n` is a number, expected a whole number")
    );
    assert!(text("SELECT pixels FROM mixed").contains("b.parquet`: it has no column `pixels`"));
    // A column that all files have in one type can be asked for.
    assert_eq!(ids(&query("SELECT id FROM mixed", &tables).unwrap()), ["r0", "r1", "x"]);
    // Another table's files do not matter.
    assert_eq!(query("SELECT id FROM a", &tables).unwrap().num_rows(), 2);
}
