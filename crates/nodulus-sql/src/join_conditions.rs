//! Conditions of JOIN that polars would misread.

use sqlparser::ast::{BinaryOperator, Expr, Select, Visit, Visitor, visit_expressions};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use std::ops::ControlFlow;

/// The first condition after ON that does not compare the two tables; `None` where there is none, or the text is not SQL.
///
/// polars looks up such a condition's column in whichever table has one of that name, and so answers another question.
pub(crate) fn one_sided(query: &str) -> Option<String> {
    let statements = Parser::parse_sql(&GenericDialect {}, query).ok()?;
    match statements.visit(&mut Joins) {
        ControlFlow::Break(condition) => Some(condition),
        ControlFlow::Continue(()) => None,
    }
}

struct Joins;

impl Visitor for Joins {
    type Break = String;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        for join in select.from.iter().flat_map(|table| &table.joins) {
            visit_expressions(&join.join_operator, |expression| match expression {
                Expr::BinaryOp { left, op, right } if is_one_sided(left, op, right) => {
                    ControlFlow::Break(expression.to_string())
                }
                _ => ControlFlow::Continue(()),
            })?;
        }
        ControlFlow::Continue(())
    }
}

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

    #[test]
    fn a_condition_on_one_table_is_found_at_any_depth() {
        let condition = |on: &str| one_sided(&format!("SELECT a.x FROM a JOIN b ON {on}"));
        for fine in ["a.x = b.x", "a.x = b.x AND b.y = a.y", "x = y", "a.x < b.x"] {
            assert_eq!(condition(fine), None, "{fine}");
        }
        for (on, expected) in [
            ("a.x = b.x AND b.y = 'v'", "b.y = 'v'"),
            ("a.x = b.x AND 1 < b.y", "1 < b.y"),
            ("b.x = b.y", "b.x = b.y"),
        ] {
            assert_eq!(condition(on).as_deref(), Some(expected));
        }
        let inner =
            "WITH c AS (SELECT * FROM a UNION SELECT * FROM a JOIN b ON b.y = 1) SELECT * FROM c";
        assert_eq!(one_sided(inner).as_deref(), Some("b.y = 1"));
        assert_eq!(one_sided("SELECT * FROM a JOIN b USING (x) WHERE b.y = 1"), None);
        assert_eq!(one_sided("SELEC"), None);
    }
}
