//! What a question may ask: polars answers some that it should refuse.

use crate::Error;
use sqlparser::ast::{
    BinaryOperator, Expr, Function, Query, Select, SetExpr, Statement, Visit, Visitor,
    visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};
use std::ops::ControlFlow;

/// Functions whose value over a constant depends on the number of rows; polars takes the constant as a single value.
const SUMS: [&str; 8] =
    ["sum", "stddev", "stddev_samp", "stdev", "stdev_samp", "variance", "var", "var_samp"];

/// The statements of a text; `None` where it is not SQL, which polars says itself.
pub(crate) fn statements(question: &str) -> Option<Vec<Statement>> {
    let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
    let parser = Parser::new(&GenericDialect {}).with_options(options);
    parser.try_with_sql(question).ok()?.parse_statements().ok()
}

/// Fails unless the statements are a single one that only reads, without the parts that polars answers otherwise than SQL
/// does.
pub(crate) fn check(statements: &[Statement]) -> Result<(), Error> {
    let refused = |text: &str| Err(Error::Question(text.to_owned()));
    let statement = match statements {
        [] => {
            return refused("the question is empty; ask one, as in `SELECT count(*) FROM nodules`");
        }
        [statement] => statement,
        several => {
            let n = several.len();
            return refused(&format!(
                "there are {n} questions, expected one; ask them one after the other"
            ));
        }
    };
    let only_reads = match statement {
        Statement::Query(_) | Statement::ShowTables { .. } => true,
        Statement::Explain { statement, .. } => matches!(**statement, Statement::Query(_)),
        _ => false,
    };
    if !only_reads {
        return Err(Error::Write { statement: shortened(&statement.to_string()) });
    }
    match statement.visit(&mut Parts) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The first expression whose syntax tree occurs in a message, as it is written.
pub(crate) fn dumped(statements: &[Statement], message: &str) -> Option<String> {
    let found = visit_expressions(&statements.to_vec(), |expression: &Expr| {
        if message.contains(&format!("{expression:?}")) {
            return ControlFlow::Break(expression.to_string());
        }
        ControlFlow::Continue(())
    });
    match found {
        ControlFlow::Break(text) => Some(shortened(&text)),
        ControlFlow::Continue(()) => None,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

struct Parts;

impl Visitor for Parts {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        match &*query.body {
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => {
                ControlFlow::Break(Error::Write { statement: shortened(&statement.to_string()) })
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        if select.into.is_some() {
            return ControlFlow::Break(Error::Write { statement: shortened(&select.to_string()) });
        }
        for join in select.from.iter().flat_map(|table| &table.joins) {
            visit_expressions(&join.join_operator, |expression| match expression {
                Expr::BinaryOp { left, op, right } if is_one_sided(left, op, right) => {
                    ControlFlow::Break(Error::OneSidedJoin { condition: expression.to_string() })
                }
                _ => ControlFlow::Continue(()),
            })?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let Function { name, args, filter, .. } = function;
        if let Some(filter) = filter
            && !names_a_column(&**filter)
        {
            return ControlFlow::Break(Error::Question(format!(
                "`FILTER (WHERE {filter})` names no column, for which polars counts one row; move it to WHERE"
            )));
        }
        let name = name.to_string().to_lowercase();
        if SUMS.contains(&name.as_str()) && !names_a_column(args) {
            return ControlFlow::Break(Error::Question(format!(
                "`{expression}` names no column, for which polars takes one row; use count(*), or name a column"
            )));
        }
        ControlFlow::Continue(())
    }
}

fn names_a_column(part: &impl Visit) -> bool {
    let found = visit_expressions(part, |expression| match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Whether a condition after ON does not compare the two tables: polars looks up its column in whichever table has one of
/// that name, and so answers another question.
fn is_one_sided(left: &Expr, operator: &BinaryOperator, right: &Expr) -> bool {
    if matches!(operator, BinaryOperator::And | BinaryOperator::Or) {
        return false;
    }
    let table = |side: &Expr| match side {
        Expr::CompoundIdentifier(parts) => parts.first().map(|part| part.value.clone()),
        _ => None,
    };
    let is_value = |side: &Expr| matches!(side, Expr::Value(_));
    is_value(left) || is_value(right) || table(left).is_some_and(|own| table(right) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(question: &str) -> Option<String> {
        let statements = statements(question).unwrap_or_else(|| panic!("{question}"));
        check(&statements).err().map(|error| error.to_string())
    }

    #[test]
    fn a_condition_on_one_table_is_found_at_any_depth() {
        let condition = |on: &str| refused(&format!("SELECT a.x FROM a JOIN b ON {on}"));
        for fine in ["a.x = b.x", "a.x = b.x AND b.y = a.y", "x = y", "a.x < b.x"] {
            assert_eq!(condition(fine), None, "{fine}");
        }
        for (on, expected) in [
            ("a.x = b.x AND b.y = 'v'", "`b.y = 'v'`"),
            ("a.x = b.x AND 1 < b.y", "`1 < b.y`"),
            ("b.x = b.y", "`b.x = b.y`"),
        ] {
            assert!(condition(on).unwrap().starts_with(expected));
        }
        let inner =
            "WITH c AS (SELECT * FROM a UNION SELECT * FROM a JOIN b ON b.y = 1) SELECT * FROM c";
        assert!(refused(inner).unwrap().starts_with("`b.y = 1`"));
        assert_eq!(refused("SELECT * FROM a JOIN b USING (x) WHERE b.y = 1"), None);
        assert!(statements("SELEC").is_none());
    }

    #[test]
    fn only_one_question_that_reads_is_answered() {
        for question in ["SELECT 1", "SHOW TABLES", "EXPLAIN SELECT x FROM a", "SELECT x FROM a;"] {
            assert_eq!(refused(question), None, "{question}");
        }
        for question in [
            "DROP TABLE a",
            "DELETE FROM a",
            "TRUNCATE TABLE a",
            "CREATE TABLE x AS SELECT * FROM a",
            "INSERT INTO a VALUES (1)",
            "UPDATE a SET x = 1",
            "ALTER TABLE a ADD y INT",
            "EXPLAIN DELETE FROM a",
            "SELECT * INTO x FROM a",
        ] {
            let message = refused(question).unwrap();
            assert!(message.ends_with("the tables can only be read; ask with SELECT"), "{message}");
        }
        assert!(refused(" ").unwrap().starts_with("the question is empty"));
        assert!(refused("SELECT 1; SELECT 2").unwrap().starts_with("there are 2 questions"));
    }

    #[test]
    fn numbers_of_rows_that_polars_gets_wrong_are_refused() {
        for question in [
            "SELECT count(*) FILTER (WHERE true) FROM a",
            "SELECT x, count(*) FILTER (WHERE 1 = 1) AS n FROM a GROUP BY x",
            "SELECT sum(1) FROM a",
            "SELECT SUM(2 * 3) FROM a",
            "SELECT * FROM (SELECT stddev(1) FROM a)",
        ] {
            assert!(refused(question).unwrap().contains("names no column"), "{question}");
        }
        for question in [
            "SELECT count(*) FILTER (WHERE x > 2), count(1), sum(x), sum(x + 1), max(1) FROM a",
            "SELECT sum(CASE WHEN x THEN 1 END) FROM a",
        ] {
            assert_eq!(refused(question), None, "{question}");
        }
    }
}
