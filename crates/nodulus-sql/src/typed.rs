//! Expressions whose names are resolved and whose kinds are known.

use crate::kind::Kind;
use crate::lower::set::Set;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An expression over the columns of a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Typed {
    pub(crate) kind: Kind,
    pub(crate) node: Node,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Column of the frame, by its position.
    Column(usize),
    Value(Value),
    Call(Function, Vec<Typed>),
    /// Conditions with their results, in order; a row has the result of the first condition that is true.
    Case {
        branches: Vec<(Typed, Typed)>,
        otherwise: Box<Typed>,
    },
    /// Whether values are a row of the answer to a subquery.
    Member {
        items: Vec<Typed>,
        set: Arc<Set>,
    },
    Aggregate(Box<Aggregate>),
    Window(Box<Window>),
    /// A row for each item of a list.
    Unnest(Box<Typed>),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function of each row. Its arguments have been converted to the kinds that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Add,
    Subtract,
    Multiply,
    /// Of numbers, not of whole numbers.
    Divide,
    /// Of whole numbers; the remainder has the sign of the dividend.
    Modulo,
    Negate,
    Abs,
    /// To a number of digits after the point.
    Round(i32),
    Floor,
    Ceil,
    Sqrt,
    Ln,
    Exp,
    Power,
    /// The number of a day since 1970-01-01.
    NumberOfDay,
    /// The day of such a number.
    Day,
    Compare(Comparison),
    /// Not equal, where null equals null and nothing else.
    IsDistinct,
    And,
    Or,
    Not,
    IsNull,
    Concat,
    Like(Vec<char>),
    Lower,
    Upper,
    Length,
    /// From a position, counted from 1, a number of characters.
    Substring(usize, Option<usize>),
    StartsWith,
    Contains,
    /// A text with each occurrence of another replaced.
    Replace,
    /// Without some characters, or spaces, at one end or both.
    Trim(Ends),
    /// One of the parts between separators: of 1 the first, of -1 the last.
    SplitPart,
    Coalesce,
    Greatest,
    Least,
    ListLength,
    /// To the expression's kind.
    Cast,
    /// A whole number that must lie in a range.
    Within(i64, i64),
    /// A number as one of those that are equal: of zeros and of NaN there is one.
    Normal,
}

/// Ends of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) start: bool,
    pub(crate) end: bool,
}

/// A value of a group of rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    /// None in `count(*)`, two in `corr`.
    pub(crate) arguments: Vec<Typed>,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Typed>,
    /// How the values are sorted before they are joined, or the first of several modes is taken.
    pub(crate) order: Vec<SortKey>,
}

/// A variance or a standard deviation, its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) is_of_sample: bool,
    pub(crate) is_root: bool,
}

/// How a group's value is computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Spread(Spread),
    /// The value below which a share of the values lie.
    Quantile(f64),
    /// The most frequent value.
    Mode,
    /// The texts with a separator between them.
    Joined(String),
    /// Pearson's correlation of two numbers.
    Correlation,
}

/// A value of a row among others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) function: WindowFunction,
    pub(crate) partition: Vec<Typed>,
    pub(crate) order: Vec<SortKey>,
    /// Whether rows that tie in the order are told apart, as ROWS does.
    pub(crate) is_of_single_rows: bool,
    /// As it is written, for messages.
    pub(crate) text: String,
}

/// How a row's value among others is computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    /// The value of the row so many rows before; without such a row, another value.
    Lag {
        value: Typed,
        before: i64,
        otherwise: Typed,
    },
    /// Of all rows of the partition, or with an order of those up to the row and those that tie with it.
    Aggregate(Aggregate),
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortKey {
    pub(crate) by: Typed,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

impl Typed {
    pub(crate) const fn column(position: usize, kind: Kind) -> Self {
        Self { kind, node: Node::Column(position) }
    }

    pub(crate) const fn value(value: Value, kind: Kind) -> Self {
        Self { kind, node: Node::Value(value) }
    }

    pub(crate) fn call(function: Function, arguments: Vec<Self>, kind: Kind) -> Self {
        Self { kind, node: Node::Call(function, arguments) }
    }

    /// The expressions that this one is made of.
    fn parts_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.node {
            Node::Column(_) | Node::Value(_) => Vec::new(),
            Node::Call(_, arguments) => arguments.iter_mut().collect(),
            Node::Case { branches, otherwise } => {
                let branches = branches.iter_mut().flat_map(|(when, then)| [when, then]);
                branches.chain([&mut **otherwise]).collect()
            }
            Node::Member { items, .. } => items.iter_mut().collect(),
            Node::Unnest(list) => vec![list],
            Node::Aggregate(aggregate) => aggregate.parts_mut(),
            Node::Window(window) => {
                let Window { function, partition, order, .. } = &mut **window;
                let own = match function {
                    WindowFunction::Lag { value, otherwise, .. } => vec![value, otherwise],
                    WindowFunction::Aggregate(aggregate) => aggregate.parts_mut(),
                    WindowFunction::RowNumber
                    | WindowFunction::Rank
                    | WindowFunction::DenseRank => Vec::new(),
                };
                let keys = order.iter_mut().map(|key| &mut key.by);
                own.into_iter().chain(partition).chain(keys).collect()
            }
        }
    }

    /// Replaces every part for which there is a replacement, from the outside in.
    pub(crate) fn replace<E>(
        &mut self,
        by: &mut dyn FnMut(&Self) -> Result<Option<Self>, E>,
    ) -> Result<(), E> {
        if let Some(other) = by(self)? {
            *self = other;
            return Ok(());
        }
        self.parts_mut().into_iter().try_for_each(|part| part.replace(by))
    }

    /// Whether a part has a property.
    pub(crate) fn any(&self, has: &dyn Fn(&Node) -> bool) -> bool {
        let mut whole = self.clone();
        let found = whole.replace(&mut |part| if has(&part.node) { Err(()) } else { Ok(None) });
        found.is_err()
    }

    /// Whether a part is a value of several rows.
    pub(crate) fn has_aggregate(&self) -> bool {
        self.any(&|node| matches!(node, Node::Aggregate(_)))
    }

    pub(crate) fn has_window(&self) -> bool {
        self.any(&|node| matches!(node, Node::Window(_)))
    }

    pub(crate) fn has_unnest(&self) -> bool {
        self.any(&|node| matches!(node, Node::Unnest(_)))
    }

    /// Positions of the columns that it needs.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        let mut whole = self.clone();
        let all: Result<(), ()> = whole.replace(&mut |part| {
            if let Node::Column(position) = part.node {
                columns.insert(position);
            }
            Ok(None)
        });
        debug_assert!(all.is_ok(), "nothing stops the search");
        columns
    }
}

/// A value by which rows are grouped, joined or sorted: equal ones are the same.
pub(crate) fn key(value: Typed) -> Typed {
    match value.kind {
        Kind::Decimal | Kind::Computed | Kind::Float => {
            let kind = value.kind.clone();
            Typed::call(Function::Normal, vec![value], kind)
        }
        _ => value,
    }
}

impl Aggregate {
    fn parts_mut(&mut self) -> Vec<&mut Typed> {
        let keys = self.order.iter_mut().map(|key| &mut key.by);
        self.arguments.iter_mut().chain(&mut self.filter).chain(keys).collect()
    }
}
