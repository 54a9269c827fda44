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
SELECT n + 1 AS k FROM first WHERE k > 2 ORDER BY id
SELECT n + 1 AS n, m FROM first WHERE n > 1 ORDER BY id
SELECT n + 1 AS k, k * 2 AS j, j - k AS i FROM first WHERE j > 4 OR k IS NULL ORDER BY id
SELECT count(*) AS k, k + 1 AS j, 100.0 * k / j AS i FROM first
SELECT n AS k, count(*) AS c, c / sum(c) OVER () AS share FROM first GROUP BY k ORDER BY k
SELECT n + 1 AS k, sum(k) AS j FROM first GROUP BY n ORDER BY k
SELECT count(*) AS k FROM first a WHERE EXISTS (SELECT 1 FROM second b WHERE b.n = a.n)
SELECT count(*) AS k FROM first a WHERE NOT EXISTS (SELECT 1 FROM second b WHERE b.n = a.n)
SELECT count(*) AS k FROM first a WHERE NOT EXISTS (SELECT * FROM second b WHERE a.n = b.n AND b.s = a.s AND b.m > 0)
SELECT count(*) AS k FROM first a WHERE NOT EXISTS (SELECT 1 FROM nothing b WHERE b.n = a.n)
SELECT id, EXISTS (SELECT 1 FROM second b WHERE b.x = a.x) AS e, EXISTS (SELECT 1 FROM second b WHERE b.x = a.n) AS f FROM first a ORDER BY id
SELECT id FROM first a WHERE EXISTS (SELECT 1 FROM second WHERE m + 1 = a.n AND (b OR s IS NULL)) ORDER BY id
SELECT id FROM first a WHERE EXISTS (SELECT 1 FROM second b JOIN third c ON b.n = c.n WHERE b.d = a.d AND c.m < 4) ORDER BY id
SELECT id FROM first a WHERE EXISTS (SELECT 1 FROM first b WHERE b.n = a.n AND b.raw = a.raw AND b.b = a.b AND b.id > 30) ORDER BY id
SELECT n FROM first a GROUP BY n HAVING EXISTS (SELECT 1 FROM third b WHERE b.m = a.n) ORDER BY n
SELECT concat(s, n, NULL, b, d) AS a, concat(NULL) AS b, concat(s) AS c, s || n || d AS d, 1 || 'x' AS e FROM first ORDER BY id
SELECT replace(s, 'a', 'bb') AS a, replace(s, '', 'x') AS b, replace(s, 'ab', NULL) AS c FROM first ORDER BY id
SELECT trim(s) AS a, ltrim(s) AS b, rtrim(s) AS c, trim(s, 'a1') AS d, trim(LEADING 'a' FROM s) AS e, rtrim(s, 'ac') AS f, trim(s, '') AS g FROM first ORDER BY id
SELECT trim('  a ') AS a, trim('	a') = 'a' AS b, trim('　a　') AS c, trim('​a') = 'a' AS d
SELECT split_part(s, '-', 1) AS a, split_part(s, '-', 2) AS b, split_part(s, '-', -1) AS c, split_part(s, '-', 0) AS d, split_part(s, 'ab', n) AS e FROM first ORDER BY id
SELECT split_part('a---b', '--', 2) AS a, split_part('a---b', '--', -1) AS b, split_part('', '-', 1) AS c, split_part('a-b', '-', -3) AS d
SELECT power(n, 2) AS a, pow(x, 0.5) AS b, power(2, -1) AS c, power(m, abs(n)) AS d, power(0, 0) AS e FROM first ORDER BY id
SELECT sqrt(0.25) AS a, exp(0.5) AS b, ln(0.5) AS c, exp(1000) AS d, -exp(1000) AS e, exp(1000) - exp(1000) AS f
SELECT round(15, -1) AS a, round(-15, -1) AS b, round(14, -1) AS c, round(m * 100, -2) AS d, round(1499, -3) AS e, round(7, -2) AS f FROM first ORDER BY id
SELECT d - DATE '2019-05-01' AS a, d + 30 AS b, d - 1 AS c, 1 + d AS e, d - d AS f FROM first ORDER BY id
SELECT b, mode(n ORDER BY n) AS a, mode(s ORDER BY s DESC) AS c, mode(x ORDER BY x) AS e, mode(d ORDER BY d) AS f FROM first GROUP BY b ORDER BY b
SELECT mode(n) AS a, mode(b) AS c, mode(n) FILTER (WHERE n > 0) AS e FROM (SELECT 1 AS n, true AS b UNION ALL SELECT 2, NULL UNION ALL SELECT 2, NULL)
SELECT mode(n) AS a, mode(s) AS b, corr(n, m) AS c, string_agg(s ORDER BY s) AS d FROM nothing
SELECT string_agg(s, ',' ORDER BY id) AS a, string_agg(s ORDER BY id DESC) AS b, string_agg(DISTINCT s, ', ' ORDER BY s DESC) AS c FROM first
SELECT n, string_agg(s, '' ORDER BY m NULLS FIRST, id) FILTER (WHERE b) AS a, string_agg(m, '+' ORDER BY id) AS c, string_agg(d, ' ' ORDER BY d) AS e FROM first GROUP BY n ORDER BY n
SELECT corr(n, m) AS a, corr(id, n) FILTER (WHERE b) AS c, corr(id, 1) AS d, corr(x, id) AS e FROM first
SELECT b, corr(n, m) AS a, corr(m, x) AS c FROM first WHERE x < 100 GROUP BY b ORDER BY b
SELECT n, sum(count(*)) OVER () AS a, count(*) / sum(count(*)) OVER () AS b, sum(sum(m)) OVER (ORDER BY n) AS c, max(avg(m)) OVER () AS d FROM first GROUP BY n ORDER BY n
SELECT id, sum(m) OVER (ORDER BY n) AS a, count(*) OVER (ORDER BY n DESC) AS b, avg(m) OVER (ORDER BY n NULLS FIRST) AS c, min(s) OVER (ORDER BY m) AS d, max(d) OVER (PARTITION BY b ORDER BY n, m) AS e FROM first ORDER BY id
SELECT id, sum(x) OVER (PARTITION BY n ORDER BY id) AS a, count(x) OVER (ORDER BY id) AS b, min(x) OVER (PARTITION BY s ORDER BY d) AS c, max(x) OVER (ORDER BY id) AS d FROM first ORDER BY id
SELECT id, sum(m) FILTER (WHERE b) OVER (PARTITION BY n ORDER BY d DESC) AS a, count(n) OVER (ORDER BY b) AS c, max(b) OVER (ORDER BY n) AS e FROM first ORDER BY id
SELECT id, sum(m) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS a, sum(m) OVER (ORDER BY n RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS b FROM first ORDER BY id
SELECT id, lag(n, 1, 0) OVER (ORDER BY id) AS a, lead(n, 2, id) OVER (PARTITION BY b ORDER BY id) AS c, lag(x, 1, 0) OVER (ORDER BY id) AS e, lag(x, 3, 0.5) OVER (ORDER BY id) AS f FROM first ORDER BY id
SELECT id, lag(s, 1, 'none') OVER (PARTITION BY n ORDER BY id) AS a, lag(d, 1, DATE '2000-01-01') OVER (ORDER BY id) AS c, lag(tags, 1) OVER (ORDER BY id) AS e, lag(n, 2, NULL) OVER (ORDER BY id) AS f FROM first ORDER BY id
SELECT mode(n) OVER (PARTITION BY b) AS a, corr(n, m) OVER (PARTITION BY b) AS c FROM (SELECT 1 AS n, 2 AS m, true AS b UNION ALL SELECT 3, 4, true UNION ALL SELECT 3, 5, true)
SELECT a, n FROM (SELECT 1 AS a, n FROM first) WHERE 1 = a ORDER BY n
SELECT a = 1 AS b, 1 = a AS c, 2 > a AS d, n FROM (SELECT 1 AS a, n FROM first) ORDER BY n
SELECT 7 = a.n AS k, b.id FROM nothing a RIGHT JOIN first b ON a.n = b.n ORDER BY b.id
SELECT 7 = k AS a, n FROM (SELECT max(n) OVER () AS k, n FROM first) ORDER BY n
SELECT 7 = greatest(1, 7) AS a, 1 = CASE WHEN 1 / 1 > 0 THEN 1 END AS b, id FROM first WHERE 2 = greatest(1, 2) OR id = 4 ORDER BY id
SELECT id, sum(n) OVER (ORDER BY id) AS a, avg(n) OVER (ORDER BY id) AS b, min(n) OVER (ORDER BY id) AS c FROM nothing ORDER BY id
SELECT n, sum(x) AS a, avg(x) AS b, sum(DISTINCT 0.5) AS c FROM nothing GROUP BY n
