//! What is to be done for a shard, and what becomes of its content.

use serde::Serialize;

/// What becomes of a shard's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It exists and stays.
    Stays,
    /// The shard may be made, or is made and may get the content that it has.
    MayChange,
    /// It is made and gets a content that no shard has.
    Changes,
}

/// Number of shards of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShardCounts {
    /// Shards in all.
    pub n_shards: usize,
    /// Shards that are made for certain.
    pub n_to_make: usize,
    /// Shards that are made at most: whether some are follows only from the content of others, or from a decision.
    pub n_to_make_at_most: usize,
    /// Whether the numbers are the most there can be, because source files are still to be written.
    pub is_estimate: bool,
}

impl ShardCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.n_shards += other.n_shards;
        self.n_to_make += other.n_to_make;
        self.n_to_make_at_most += other.n_to_make_at_most;
        self.is_estimate |= other.is_estimate;
    }
}

/// What is to be done for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing: it is committed.
    None,
    /// It is made if other shards get another content, or a decision is another one.
    Perhaps,
    /// It is made again from what it was made from.
    Again,
    /// It is made from other cases, or from cases of another content, with whatever result.
    Modified,
    /// It is made because no run has made it with these settings and decisions.
    Pending,
    /// It is made from what did not exist before.
    New,
}

impl Work {
    pub(super) fn is_certain(self) -> bool {
        !matches!(self, Self::None | Self::Perhaps)
    }

    /// What becomes of the content. Without volatile columns a part's content covers its settings too; with them, other
    /// settings may give the same content (`can_repeat`).
    pub(super) fn fate(self, can_repeat: bool) -> Fate {
        match self {
            Self::None => Fate::Stays,
            Self::Perhaps | Self::Again | Self::Modified => Fate::MayChange,
            Self::Pending if can_repeat => Fate::MayChange,
            Self::Pending | Self::New => Fate::Changes,
        }
    }
}
