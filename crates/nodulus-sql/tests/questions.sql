SELECT n AS id, id AS n FROM first ORDER BY id, n
SELECT n AS id, m FROM first ORDER BY id + 0, m
SELECT lower(s) AS s, count(*) AS k FROM first GROUP BY s ORDER BY 1, 2
SELECT n + 1 AS k, count(*) AS c FROM first GROUP BY k HAVING k > 1 ORDER BY k DESC
SELECT N, First.M FROM first WHERE S = 'a' ORDER BY Id
SELECT "N" FROM first ORDER BY "ID"
SELECT count(*) AS k FROM first a JOIN first b ON a.n = b.n AND a.id < b.id
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n < b.n
SELECT count(*) AS k FROM first a RIGHT JOIN second b ON a.n < b.n
SELECT count(*) AS k FROM first a FULL JOIN second b ON a.n < b.n
SELECT count(*) AS k FROM first a FULL JOIN second b ON a.n <> b.n AND a.s = b.s
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.m = -(-4)
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.m = CAST('4' AS BIGINT)
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.s = lower('A')
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND CAST('4' AS BIGINT) = b.m
SELECT count(*) AS k FROM first a JOIN second b ON a.n = b.n AND b.m = abs(-4)
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n OR b.m = 4
SELECT count(*) AS k FROM first a LEFT JOIN second b ON b.m = 4
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.m = 4
SELECT count(*) AS k FROM first a FULL JOIN second b ON true
SELECT count(*) AS k FROM first a FULL JOIN second b ON false
SELECT count(*) AS k FROM first a LEFT JOIN second b ON NULL
SELECT count(*) AS k FROM first a FULL JOIN nothing b ON a.n = b.n
SELECT count(*) AS k FROM first a RIGHT JOIN nothing b ON a.n = b.n
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n WHERE b.n IS NULL
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.b
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND NOT b.b
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.b IS NULL
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n + 1 = b.m - 1
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.x = b.n
SELECT count(*) AS k FROM first a JOIN second b ON a.x = b.x
SELECT count(*) AS k FROM first a LEFT JOIN second b ON b.m BETWEEN a.n AND 4
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.m IN (4, 2)
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.s LIKE 'a%'
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND b.s || '' = 'abc'
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n IS NOT DISTINCT FROM b.n
SELECT count(*) AS k FROM first a LEFT JOIN second b ON a.n = b.n AND a.id IN (SELECT id FROM third)
SELECT count(*) AS k FROM first a JOIN second b ON a.n = b.n LEFT JOIN third c ON c.m = b.m AND c.n <> a.n
SELECT count(*) AS k FROM (first a JOIN second b ON a.n = b.n) LEFT JOIN third c ON c.d = a.d
SELECT count(*) AS k FROM first a JOIN (second b LEFT JOIN third c ON b.n = c.n) ON a.m = c.m
SELECT count(*) AS k FROM first a, second b WHERE a.n = b.n AND a.m < b.m
SELECT count(*) AS k FROM first a, second b JOIN third c ON b.n = c.n
SELECT n, count(*) AS k FROM first JOIN second USING (n) GROUP BY n ORDER BY n
SELECT n, count(*) AS k FROM first LEFT JOIN second USING (n) GROUP BY n ORDER BY n
SELECT n, count(*) AS k FROM first RIGHT JOIN second USING (n) GROUP BY n ORDER BY n
SELECT n, count(*) AS k FROM first FULL JOIN second USING (n) GROUP BY n ORDER BY n
SELECT n, m, count(*) AS k FROM first FULL JOIN second USING (n, m) GROUP BY n, m ORDER BY n, m
SELECT n, count(*) AS k FROM first FULL JOIN second USING (n) FULL JOIN third USING (n) GROUP BY n ORDER BY n
SELECT first.n, second.n AS o, count(*) AS k FROM first FULL JOIN second USING (n) GROUP BY first.n, second.n ORDER BY 1, 2
SELECT * FROM (SELECT id, n FROM first) JOIN (SELECT n, m FROM second) USING (n)
SELECT * FROM (SELECT id, n FROM first) RIGHT JOIN (SELECT n, m FROM second) USING (n)
SELECT * FROM (SELECT id, n FROM first) FULL JOIN (SELECT n, m FROM second) USING (n)
SELECT * FROM (SELECT id AS a, n AS b FROM third) x LEFT JOIN (SELECT n AS c, m AS d FROM second) y ON b < c
SELECT x.*, y.m AS o FROM (SELECT id, n FROM first) x JOIN second y ON x.n = y.n
SELECT count(*) AS k FROM first HAVING count(*) > 10
SELECT count(*) AS k FROM first HAVING count(*) > 1000
SELECT max(n) AS k FROM nothing
SELECT sum(n) AS a, avg(x) AS b, count(*) AS c, count(n) AS d, min(s) AS e, stddev(x) AS f, median(n) AS g FROM nothing
SELECT n, count(*) AS k FROM nothing GROUP BY n
SELECT 1 AS one FROM nothing
SELECT count(*) AS k FROM first WHERE n NOT IN (SELECT n FROM second)
SELECT count(*) AS k FROM first WHERE n NOT IN (SELECT n FROM second WHERE n IS NOT NULL AND n > 2)
SELECT count(*) AS k FROM first WHERE n NOT IN (SELECT n FROM nothing)
SELECT count(*) AS k FROM first WHERE n IN (SELECT n FROM nothing)
SELECT (n IN (SELECT n FROM nothing)) IS NULL AS k, count(*) AS c FROM first GROUP BY 1
SELECT count(*) AS k FROM first WHERE n NOT IN (2, NULL)
SELECT count(*) AS k FROM first WHERE n IN (2, NULL)
SELECT count(*) AS k FROM first WHERE n = NULL
SELECT count(*) AS k FROM first WHERE NOT (n = 2 AND m > 0)
SELECT (SELECT n FROM nothing) AS k
SELECT (SELECT max(n) FROM second) - n AS k FROM first ORDER BY id
SELECT count(*) AS k FROM first WHERE EXISTS (SELECT 1 FROM nothing)
SELECT count(*) AS k FROM first WHERE NOT EXISTS (SELECT 1 FROM nothing)
SELECT -n % 3 AS a, n % -3 AS b, m % 2 AS c FROM first ORDER BY id
SELECT n / 2 AS a, -7 / 2 AS b, 7 / 2 AS c FROM first ORDER BY id
SELECT 100.0 * count(*) FILTER (WHERE b) / count(*) AS k FROM first
SELECT count(*) FILTER (WHERE true) AS k, sum(1) AS o FROM first
SELECT x, count(*) AS k FROM first GROUP BY x ORDER BY x DESC
SELECT x FROM first WHERE x > 1 ORDER BY x
SELECT x = x AS a, x < 1e300 AS b FROM first ORDER BY id
SELECT max(x) AS a, min(x) AS b, sum(x) AS c FROM first
SELECT max(x) AS a, min(x) AS b, avg(x) AS c FROM first WHERE x < 100
SELECT DISTINCT x FROM first ORDER BY x NULLS FIRST
SELECT count(DISTINCT x) AS a, count(DISTINCT s) AS b, sum(DISTINCT n) AS c FROM first
SELECT DISTINCT n, b FROM first ORDER BY b DESC, n
SELECT d, count(*) AS k FROM first WHERE d >= DATE '2019-06-15' GROUP BY d ORDER BY d
SELECT min(d) AS a, max(d) AS b FROM first
SELECT cast('2020-02-29' AS DATE) = DATE '2020-02-29' AS k
SELECT raw, count(*) AS k FROM first GROUP BY raw
SELECT b, count(*) AS k FROM first GROUP BY b ORDER BY b NULLS FIRST
SELECT s FROM first WHERE s BETWEEN 'a' AND 'b' ORDER BY s, id
SELECT upper(s) AS a, lower(s) AS b, length(s) AS c, substr(s, 2) AS d FROM first ORDER BY id
SELECT cast(n AS VARCHAR) || s AS k FROM first ORDER BY id
SELECT cast(2.5 AS DOUBLE)::BIGINT AS a, cast(3.5e0 AS BIGINT) AS b, cast(-2.5e0 AS BIGINT) AS c
SELECT round(2.5e0) AS a, round(-2.5e0) AS b, round(2.675e0, 2) AS c, round(1234.5e0, -2) AS d
SELECT floor(-2.5e0) AS a, ceil(-2.5e0) AS b, abs(-3) AS c, sqrt(2) AS d, ln(2) AS e, exp(1) AS f
SELECT 9223372036854775807 AS a, -9223372036854775807 - 1 AS b, - - 5 AS c, -(-(5)) AS d
SELECT 0.1 = 0.1 AS a, 0.1 < 0.2 AS b, 0.5 = 1 AS c, 2.0 = 2 AS d
SELECT n = 2.0 AS a, n < 2.5 AS b, x = 0.1 AS c FROM first ORDER BY id
SELECT nullif(n, 2) AS a, coalesce(n, m, 0) AS b, greatest(n, m) AS c, least(n, m, 1) AS d FROM first ORDER BY id
SELECT CASE n WHEN 2 THEN 'two' WHEN NULL THEN 'null' ELSE 'other' END AS k FROM first ORDER BY id
SELECT n, row_number() OVER (PARTITION BY n ORDER BY id) AS k FROM first ORDER BY id
SELECT rank() OVER (ORDER BY n) AS a, dense_rank() OVER (ORDER BY n DESC) AS b FROM first ORDER BY id
SELECT lag(x) OVER (PARTITION BY b ORDER BY id) AS a, lead(x, 2) OVER (ORDER BY id DESC) AS b FROM first ORDER BY id
SELECT n, sum(n) OVER (PARTITION BY b) AS a, count(*) OVER () AS c FROM first ORDER BY id
SELECT n, count(*) AS k, rank() OVER (ORDER BY count(*) DESC) AS r FROM first GROUP BY n ORDER BY n
SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY b ORDER BY x, id) AS k FROM first) WHERE k = 1
SELECT id, unnest(tags) AS tag FROM first WHERE n > 0
SELECT len(tags) AS k, count(*) AS c FROM first GROUP BY 1 ORDER BY 1
SELECT count(*) AS k FROM first WHERE s IN (SELECT unnest(tags) FROM second)
SELECT s FROM first UNION SELECT s FROM second ORDER BY s
SELECT n FROM first UNION ALL SELECT m FROM second ORDER BY 1 DESC
SELECT n FROM first EXCEPT SELECT n FROM third
SELECT n FROM first INTERSECT SELECT m FROM second
SELECT n FROM first UNION SELECT n FROM second EXCEPT SELECT n FROM third
SELECT n FROM first UNION ALL SELECT n FROM second INTERSECT SELECT n FROM third
SELECT n FROM first UNION ALL SELECT x FROM second ORDER BY 1
SELECT n FROM first UNION SELECT NULL ORDER BY 1
WITH a AS (SELECT n, count(*) AS k FROM first GROUP BY n), c AS (SELECT max(k) AS k FROM a) SELECT a.n FROM a JOIN c USING (k) ORDER BY 1
WITH first AS (SELECT 1 AS n) SELECT n FROM first
WITH a (p, q) AS (SELECT n, m FROM first) SELECT p FROM a WHERE q > 2 ORDER BY p
WITH a AS (SELECT id FROM first ORDER BY id LIMIT 3) SELECT count(*) AS k FROM a x JOIN a y ON x.id <= y.id
SELECT count(*) AS k FROM (SELECT id FROM first ORDER BY id DESC LIMIT 5 OFFSET 2) WHERE id > 100
SELECT k FROM (SELECT n AS k FROM first) x (k) ORDER BY k
SELECT 1 AS a, 'x' AS b, NULL AS c, true AS d
SELECT n FROM first WHERE b ORDER BY id LIMIT 0
SELECT id FROM first ORDER BY n, id DESC LIMIT 4 OFFSET 3
SELECT id FROM first ORDER BY x * -1, id
SELECT n FROM first GROUP BY n ORDER BY count(*) DESC, n
SELECT b, n FROM first GROUP BY b, n ORDER BY max(id)
SELECT coalesce(sum(n), 0) + count(*) AS k FROM first WHERE id < 0
SELECT avg(n) AS a, avg(m) AS c FROM first
SELECT quantile_cont(x, 0.25) AS a, median(m) AS c, var_samp(n) AS d, stddev_pop(m) AS e FROM first WHERE x < 100
SELECT (n = 2) = (m > 0) AS k FROM first ORDER BY id
SELECT n IS DISTINCT FROM m AS a, (b IS TRUE) = (b IS NOT FALSE) AS c FROM first ORDER BY id
SELECT sum(CASE WHEN b THEN 1 ELSE 0 END) AS a, count(CASE WHEN b THEN 1 END) AS c FROM first
