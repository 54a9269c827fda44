//! A question as it is written: one statement that only reads, and the names in it.

use crate::Error;
use crate::error::shortened;
use sqlparser::ast::{ObjectName, Query, Select, SelectItem, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::DuckDbDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Most words and signs of a question: expressions are nested, and a computation's stack is limited.
const MAX_TOKENS: usize = 10_000;

/// A statement that only reads.
pub(crate) enum Question {
    Query(Box<Query>),
    ShowTables,
}

/// Names in a question.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// All words, in lower case: no other column of a table can be meant.
    words: BTreeSet<String>,
    /// Whether `*` stands for all columns.
    has_star: bool,
}

impl Names {
    /// Whether a column may be needed.
    pub(crate) fn may_need(&self, column: &str) -> bool {
        self.has_star || self.words.contains(&column.to_lowercase())
    }
}

/// The statement of a text, if it is a single one that only reads.
pub(crate) fn parse(text: &str) -> Result<(Question, Names), Error> {
    let refused = |text: String| Err(Error::Question(text));
    let no_sql = |text: String| {
        let text = text.trim_start_matches("sql parser error: ").to_owned();
        Error::Question(format!("the question is not SQL: {text}"))
    };
    let mut tokenizer = Tokenizer::new(&DuckDbDialect {}, text);
    let tokens = tokenizer.tokenize().map_err(|error| no_sql(error.to_string()))?;
    let tokens: Vec<Token> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    if tokens.len() > MAX_TOKENS {
        let n = tokens.len();
        return refused(format!(
            "the question has {n} words and signs, expected at most {MAX_TOKENS}; put long lists into a table"
        ));
    }
    let words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    });
    let words = words.collect();
    let is_explain =
        matches!(tokens.first(), Some(Token::Word(w)) if w.keyword == Keyword::EXPLAIN);
    let mut parser = Parser::new(&DuckDbDialect {}).with_tokens(tokens);
    let mut statements = parser.parse_statements().map_err(|error| no_sql(error.to_string()))?;
    let statement = match statements.pop() {
        None => {
            return refused(
                "the question is empty; ask one, as in `SELECT count(*) FROM nodules`".to_owned(),
            );
        }
        Some(_) if !statements.is_empty() => {
            let n = statements.len() + 1;
            return refused(format!(
                "there are {n} questions, expected one; ask them one after the other"
            ));
        }
        Some(statement) => statement,
    };
    let mut names = Names { words, has_star: false };
    if let ControlFlow::Break(error) = statement.visit(&mut names) {
        return Err(error);
    }
    match statement {
        Statement::Query(query) => Ok((Question::Query(query), names)),
        Statement::ShowTables { .. } => Ok((Question::ShowTables, names)),
        _ if is_explain => Err(Error::refused("EXPLAIN", "ask the question itself")),
        other => Err(Error::Write { statement: shortened(&other.to_string()) }),
    }
}

impl Visitor for Names {
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
        self.has_star |= select.projection.iter().any(|item| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        });
        ControlFlow::Continue(())
    }
}

/// The names of the tables that a question reads, sorted, those of its own subqueries among them; none where it is not
/// SQL.
pub(crate) fn tables_in(question: &str) -> Vec<String> {
    #[derive(Default)]
    struct Relations(BTreeSet<String>);
    impl Visitor for Relations {
        type Break = ();

        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            if let [part] = &name.0[..]
                && let Some(name) = part.as_ident()
            {
                self.0.insert(name.value.to_lowercase());
            }
            ControlFlow::Continue(())
        }
    }
    let mut relations = Relations::default();
    if let Ok((Question::Query(query), _)) = parse(question) {
        let _: ControlFlow<()> = query.visit(&mut relations);
    }
    relations.0.into_iter().collect()
}
